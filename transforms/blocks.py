"""Multi-line blocks: a header and the lines that hang on it become one.

Tracebacks, compiler diagnostics with their source and caret lines, assertion reports and diffs have in common that a line at the
margin opens them and what belongs to it is indented, or is a frame, a caret, a numbered source line. A traceback also owns the line
at the margin that ends it, the exception.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms.signals import BIT

HANGS = BIT["indented"] | BIT["frame"] | BIT["caret"] | BIT["code"]


def blocks(bits: npt.NDArray[np.uint64], ranks: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Block of each line. bits: uint64[n], signals; ranks: int32[n], -1 where unknown. -> int64[n], any numbers.

    Ranks that print at once interleave their lines; within a run of lines with known ranks the lines of each are taken together.
    """
    n = len(bits)
    if n == 0:
        return np.zeros(0, np.int64)
    order = untangled(ranks)
    b = bits if order is None else bits[order]
    hangs = (b & np.uint64(HANGS)) != 0
    hangs &= (b & np.uint64(BIT["blank"])) == 0
    hangs[0] = False
    if order is not None:
        r = ranks[order]
        hangs[1:] &= r[1:] == r[:-1]
    # The exception that ends a traceback: at the margin, right behind what hangs on a traceback's header.
    number = np.cumsum(~hangs)
    heads = np.flatnonzero(~hangs)
    traceback = (b[heads] & np.uint64(BIT["traceback"])) != 0
    ends = np.zeros(n, bool)
    ends[1:] = hangs[:-1] & ~hangs[1:] & traceback[number[:-1] - 1]
    ends &= (b & np.uint64(BIT["raised"] | BIT["exception"] | BIT["setting"])) != 0
    if order is not None:
        ends[1:] &= r[1:] == r[:-1]
    number = np.cumsum(~(hangs | ends))
    if order is None:
        return number
    back = np.empty(n, np.int64)
    back[order] = number
    return back


def untangled(ranks: npt.NDArray[np.int32]) -> npt.NDArray[np.int64] | None:
    """The order in which each rank's lines stand together, within runs of lines whose rank is known; None if it is the same."""
    known = ranks >= 0
    if not known.any() or (ranks[known] == ranks[known][0]).all():
        return None
    run = np.cumsum(np.diff(known, prepend=known[0]))
    order: npt.NDArray[np.int64] = np.lexsort((np.arange(len(ranks)), ranks, run)).astype(np.int64)
    return order

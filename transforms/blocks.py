"""Multi-line blocks: lines that belong together become one, in one pass over the lines.

A line joins the block before it, or opens one. What decides is its role (roles.py), the state in which the block's last line
left it, and the column at which its text begins:

    anywhere    roles that follow a state at any column: frames, carets, notes, a chained traceback
    same        at the column of a traceback's header: the exception that ends it
    colon       behind a line that ends in a colon: what an exception or a report says, a traceback; no record of logging, unless
                that line was one
    deeper      two columns deeper than the block's first line: source, values, what is told about a line
    over        some of these over a blank line or two: goroutines, chained tracebacks, the parts of a report
    far         what shows that the lines since an exception were its message: frames, a chained traceback

Where the frames of a traceback stand at the column of its header, a viewer took the indentation: the line behind one is source.

What stands between two lines of the same decoration is one block as well, if it is short and its first lines tell of trouble:
the reports of launchers and of MPI. Lines of several ranks that print at once are told apart: each rank has a lane of its own,
and so have the lines of no rank. A block lies within one lane and has at most MOST lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import numpy.typing as npt

from tracewinnow.kernels import kernel as compiled_kernel
from tracewinnow.transforms.roles import LABELLED, LINE_LABEL, OPENS, PADDED_LEVEL, ROLE, STATE, TABLE

MOST = 512  # lines of a block; what follows opens the next
REACH = 8192  # lines from one line of a block to its next: other ranks print in between
GAP = 2  # blank lines within a block, in a row
MESSAGE = 12  # lines of a message between an exception and what shows that they belong to it
FRAMED = 40  # lines between two of decoration; MOST where a title and decoration of another kind follow the first
TITLE = 2  # of them, the first so many tell whether it is a report of trouble
WIDE = 20  # characters of decoration that may frame a report
LISTED = 40  # lines of a block in whose first nothing tells of trouble and that has no other shape than its columns
DECORATION = ROLE["rule="]  # and the two roles behind it
_FIXED = {
    **{name: ROLE[name] for name in ("blank", "header", "source_frame")},
    **{name: STATE[name] for name in ("line", "trace", "raised", "done", "report", "diff", "diag")},
    "exception": ROLE["raised"],
    "LABELLED": LABELLED,
    "decoration": DECORATION,
    "MOST": MOST,
    "REACH": REACH,
    "GAP": GAP,
    "MESSAGE": MESSAGE,
    "FRAMED": FRAMED,
    "TITLE": TITLE,
    "LISTED": LISTED,
}


def kernel() -> ModuleType:
    """The compiled loops, or the reference where the environment says TRACEWINNOW_PURE=1. Raises ImportError where not built."""
    compiled = compiled_kernel("transforms._blocks")
    if compiled is not None:
        return compiled
    from tracewinnow.transforms import blocks_reference

    return blocks_reference


@dataclass(slots=True)
class Outline:
    """What blocks are made of; all arrays have one entry a line.

    role: uint8, see roles.role_of. column: int32, at which the text begins behind what logging set before it, a tab going to the
    next multiple of eight, at most 255. width: int32, characters of a line of decoration that may frame a report, else 0.
    trouble: bool, whether a word in the line tells of trouble. rank: int32, -1 where unknown.
    """

    role: npt.NDArray[np.uint8]
    column: npt.NDArray[np.int32]
    width: npt.NDArray[np.int32]
    trouble: npt.NDArray[np.bool_]
    rank: npt.NDArray[np.int32]


def outline(
    judged: list[str], role: npt.NDArray[np.uint8], trouble: npt.NDArray[np.bool_], rank: npt.NDArray[np.int32]
) -> Outline:
    """Outline of a log. judged: its lines, without time stamps and ranks (lines.judged)."""
    columns = kernel().columns
    column, width = np.empty(len(judged), np.int32), np.zeros(len(judged), np.int32)
    columns(judged, column)
    labelled = np.flatnonzero(role & LABELLED)
    if len(labelled):
        deep = np.empty(len(labelled), np.int32)
        columns(messages([_record(judged[line]) for line in labelled.tolist()]), deep)
        column[labelled] = deep
    for line in np.flatnonzero((role >= DECORATION) & (role < DECORATION + 3)).tolist():
        wide = len(judged[line].strip())
        width[line] = wide if wide >= WIDE else 0
    return Outline(role, column, width, trouble, rank)


def _record(line: str) -> str:
    """A line from where its record begins."""
    return line.lstrip() if line[:1] == " " and PADDED_LEVEL.match(line) else line


def messages(labelled: list[str]) -> list[str]:
    """Lines without what logging sets before their message."""
    compiled = compiled_kernel("transforms._labels")
    if compiled is not None:
        return list(compiled.without_label(labelled, LINE_LABEL.match))
    return [line[found.end() :] if (found := LINE_LABEL.match(line)) else line for line in labelled]


def blocks(outline: Outline) -> npt.NDArray[np.int64]:
    """Block of each line: int64[n], the number of the block's first line, from 0. Time linear in n, 24 bytes a line."""
    n = len(outline.role)
    number, scratch = np.empty(n, np.int64), np.empty(n, np.int64)
    names, lane = np.unique(outline.rank, return_inverse=True)
    each = (
        outline.role,
        outline.column,
        outline.width,
        outline.trouble.view(np.uint8),
        lane.astype(np.int64, copy=False),
    )
    kernel().join(*each, len(names), TABLE, OPENS, _FIXED, number, scratch)
    return number


@dataclass(slots=True)
class Segments:
    """The blocks in order of their first lines. Lines of segment s, ascending: order[starts[s]:starts[s + 1]].

    of: int64[n], segment of each line. first, last: int64[s], lines from 0; of several ranks' segments the lines may interleave.
    """

    of: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    def lines(self, segment: int) -> npt.NDArray[np.int64]:
        """Lines of a segment, ascending."""
        return self.order[self.starts[segment] : self.starts[segment + 1]]


def segments(block: npt.NDArray[np.int64]) -> Segments:
    """Segments of a block array: int64[n], any numbers, equal where lines belong together."""
    _, opened, of = np.unique(block, return_index=True, return_inverse=True)
    place = np.empty(len(opened), np.int64)
    place[np.argsort(opened, kind="stable")] = np.arange(len(opened))
    of = place[of]
    order = np.argsort(of, kind="stable").astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=len(opened)))]).astype(np.int64)
    return Segments(of, order[starts[:-1]], order[starts[1:] - 1], order, starts)

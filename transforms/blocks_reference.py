"""The loop that joins lines to blocks, to read and to check the kernel (_blocks.pyx) against; about 100 times slower."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms.roles import ANYWHERE, COLON, DEEPER, FAR, OVER, SAME

DECORATIONS = 3


@dataclass(slots=True)
class Frame:
    """A line of decoration that may open a framed report."""

    at: int = -1  # the line, -1: none
    first: int = -1  # first line of the report, -1: the next one
    block: int = -1
    width: int = 0
    size: int = 0  # lines of its block up to it
    since: int = 0  # lines behind it
    filled: int = 0  # of them, those that are not blank
    trouble: bool = False
    banner: bool = False


@dataclass(slots=True)
class Lane:
    """What is known of the lines of one rank so far; base: column of the block's first line, at: of its last.

    flat: the frames of a traceback stand at the column of its header. framed: its last line is such a frame.
    """

    last: int = -1
    text: int = -1  # last line that is not blank
    block: int = -1
    state: int = 0
    base: int = 0
    inner: int = 0
    size: int = 0
    gap: int = 0
    at: int = 0
    colon: bool = False
    listing: bool = False
    labelled: bool = False
    flat: bool = False
    framed: bool = False
    far: int = -1  # last line of a block that a message may follow
    far_block: int = 0
    far_state: int = 0
    far_base: int = 0
    far_size: int = 0
    far_since: int = 0
    frames: list[Frame] = field(default_factory=lambda: [Frame() for _ in range(DECORATIONS)])


def columns(lines: list[str], out: npt.NDArray[np.int32]) -> None:
    """Column at which the text of each line begins, into `out`: a tab goes to the next multiple of eight; at most 255."""
    for i, line in enumerate(lines):
        blank = line[: len(line) - len(line.lstrip(" \t"))]
        out[i] = min(255, len(blank.expandtabs(8)))


def join(
    roles: npt.NDArray[np.uint8],
    column: npt.NDArray[np.int32],
    width: npt.NDArray[np.int32],
    trouble: npt.NDArray[np.uint8],
    lane: npt.NDArray[np.int64],
    lanes: int,
    table: npt.NDArray[np.uint8],
    opens: npt.NDArray[np.uint8],
    fixed: dict[str, int],
    block: npt.NDArray[np.int64],
    before: npt.NDArray[np.int64],
) -> None:
    """Number of each line's block, into `block`. before: scratch, as long. The rest as in blocks.py."""
    f = fixed
    every = [Lane() for _ in range(lanes)]

    def claim(line: int, until: int, number: int) -> int:
        """Gives the lines of the lane between `until` and `line`, both left out, to block `number`; -> how many."""
        many, line = 0, int(before[line])
        while line > until:
            block[line] = number
            many, line = many + 1, int(before[line])
        return many

    for i in range(len(roles)):
        s, role, col, hard = every[lane[i]], int(roles[i]) & 63, int(column[i]), bool(trouble[i])
        which = role - f["decoration"]
        decoration = 0 <= which < DECORATIONS
        before[i], s.last = s.last, i
        s.far_since += 1
        for frame in s.frames:
            if frame.at < 0:
                continue
            frame.since += 1
            if frame.first < 0:
                frame.first = frame.block = i
            if frame.size + frame.since >= f["MOST" if frame.banner else "FRAMED"] or i - frame.at > f["REACH"]:
                frame.at = -1
            elif role != f["blank"] and not decoration:
                frame.filled += 1
                frame.trouble |= frame.filled <= f["TITLE"] and hard
        if role == f["blank"]:
            block[i] = i
            s.gap += 1
            continue
        if s.far >= 0 and (
            s.far_since > f["MESSAGE"] or s.far_size + s.far_since >= f["MOST"] or i - s.far > f["REACH"]
        ):
            s.far = -1
        if decoration:
            frame = s.frames[which]
            if frame.at >= 0 and frame.trouble and frame.width == width[i]:  # it closes a framed report
                s.block, s.size = frame.block, frame.size + 1 + claim(i, frame.at, frame.block)
                block[i] = s.block
                s.state, s.text, s.far, s.at, s.base, s.inner = f["line"], i, -1, col, col, col
                s.gap, s.colon, s.listing, s.flat, s.framed = 0, False, False, False, False
                for other in s.frames:
                    if other.at > frame.at:
                        other.at = -1
                s.frames[which] = Frame(at=i, width=frame.width)  # and may open the next
                continue
            for k, other in enumerate(s.frames):
                other.banner |= k != which and other.filled == 1
        to = 0
        if s.far >= 0 and (s.state == f["line"] or s.gap):
            to = int(table[FAR, role, s.far_state])
            if to:
                s.block, s.text, s.size, s.base, s.inner = s.far_block, s.far, s.far_size, s.far_base, s.far_base
        if not to and s.text >= 0 and s.size + s.gap < f["MOST"] and i - s.text <= f["REACH"]:
            deeper = col >= s.base + (1 if s.state == f["diff"] else 2)
            if s.gap == 0:
                chained = s.flat and role == f["source_frame"] and s.state == f["done"]
                source = s.framed and role not in (f["header"], f["source_frame"], f["exception"])
                to = f["trace"] if chained or source else int(table[ANYWHERE, role, s.state])
                if not to and col == s.inner:
                    to = int(table[SAME, role, s.state])
                if not to and s.colon and (s.labelled or not roles[i] & f["LABELLED"]):
                    to = int(table[COLON, role, s.state])
                if not to and deeper:
                    to = int(table[DEEPER, role, s.state])
                    if s.listing and s.state == to == f["line"] and (col < s.at or s.size >= f["LISTED"]):
                        to = 0
            elif s.gap <= f["GAP"]:
                to = int(table[OVER, role, s.state])
                if not to and s.state in (f["report"], f["raised"], f["done"]) and deeper:
                    to = int(table[DEEPER, role, s.state])
        if to:
            s.size += 1 + claim(i, s.text, s.block)
            block[i] = s.block
            if role == f["header"]:
                s.inner, s.flat = col, False
            elif role == f["source_frame"]:
                s.flat |= s.state == f["trace"] and col == s.inner
            s.state, s.far = to, -1
            s.framed = s.flat and role == f["source_frame"]
        else:
            if opens[role] != f["line"]:
                s.far = -1
            elif s.state in (f["raised"], f["done"], f["diag"]):
                s.far, s.far_block, s.far_state, s.far_base, s.far_size = s.text, s.block, s.state, s.base, s.size
                s.far_since = s.gap + 1
            block[i] = s.block = i
            s.size, s.state, s.base, s.inner, s.listing = 1, int(opens[role]), col, col, not hard
            s.flat = s.framed = False
            if role == f["source_frame"]:  # the exception of a syntax error stands two columns before it
                s.inner = max(0, col - 2)
        if decoration and width[i]:
            s.frames[which] = Frame(i, i, s.block, int(width[i]), s.size)
        s.colon, s.labelled, s.gap, s.text, s.at = bool(roles[i] >= 128), bool(roles[i] & f["LABELLED"]), 0, i, col

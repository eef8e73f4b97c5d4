"""Multi-line blocks: lines that belong together become one, in one pass over the lines.

A line joins the block before it, or opens one. What decides is its role (roles.py), the state in which the block's last line
left it, and the column at which its text begins:

    anywhere    roles that follow a state at any column: frames, carets, notes, a chained traceback
    same        at the column of a traceback's header: the exception that ends it
    colon       behind a line of an exception or a report that ends in a colon
    deeper      two columns deeper than the block's first line: source, values, what is told about a line
    over        some of these over a blank line or two: goroutines, chained tracebacks, the parts of a report
    far         what shows that the lines since an exception were its message: frames, a chained traceback

What stands between two lines of the same decoration is one block as well, if it is short and its first lines tell of trouble:
the reports of launchers and of MPI. Lines of several ranks that print at once are told apart: each rank has a lane of its own,
and so have the lines of no rank. A block lies within one lane and has at most MOST lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms._blocks import columns as _columns
from tracewinnow.transforms._blocks import join
from tracewinnow.transforms.roles import COLON, LABELLED, LINE_LABEL, OPENS, ROLE, STATE, STATES, TABLE

MOST = 512  # lines of a block; what follows opens the next
REACH = 8192  # lines from one line of a block to its next: other ranks print in between
GAP = 2  # blank lines within a block, in a row
MESSAGE = 12  # lines of a message between an exception and what shows that they belong to it
FRAMED = (
    64  # lines between two of decoration; MOST where the first is a title with decoration of another kind behind it
)
TITLE = 3  # of them, the first so many tell whether it is a report of trouble
_FIXED = {
    **{name: ROLE[name] for name in ("blank", "header", "source_frame")},
    **{name: STATE[name] for name in ("line", "raised", "done", "report", "diff", "diag")},
    "decoration": ROLE["rule="],
    "MOST": MOST,
    "REACH": REACH,
    "GAP": GAP,
    "MESSAGE": MESSAGE,
    "FRAMED": FRAMED,
    "TITLE": TITLE,
}
_GOES_ON = np.isin(np.arange(len(STATES)), COLON).astype(np.uint8)


def blocks(
    roles: npt.NDArray[np.uint8],
    column: npt.NDArray[np.int32],
    trouble: npt.NDArray[np.bool_],
    ranks: npt.NDArray[np.int32],
) -> npt.NDArray[np.int64]:
    """Block of each line: int64[n], the number of the block's first line, from 0.

    roles: uint8[n], see roles.role_of. column: int32[n], see columns. trouble: bool[n], whether a word in the line tells of
    trouble. ranks: int32[n], -1 where unknown. Time is linear in n, memory 24 bytes a line.
    """
    n = len(roles)
    number = np.empty(n, np.int64)
    names, lane = np.unique(ranks, return_inverse=True)
    lane = lane.astype(np.int64, copy=False)
    scratch = np.empty(n, np.int64)
    known = trouble.view(np.uint8)
    join(roles, column, known, lane, len(names), TABLE, OPENS, _GOES_ON, _FIXED, number, scratch)
    return number


def columns(judged: list[str], roles: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Column at which the text of each line begins, behind what logging set before it: int32[n]; a tab goes to the next multiple of
    eight; at most 255.
    """
    found = np.empty(len(judged), np.int32)
    _columns(judged, found)
    labelled = np.flatnonzero(roles & LABELLED)
    if len(labelled):
        behind = [
            text[match.end() :] if (match := LINE_LABEL.match(text)) else text
            for text in map(judged.__getitem__, labelled.tolist())
        ]
        deep = np.empty(len(labelled), np.int32)
        _columns(behind, deep)
        found[labelled] = deep
    return found


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

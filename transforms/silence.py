"""Ranks that fell silent while the others went on: their last words tell where a job hung, or who died without a word."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MORE = 3  # lines of each other rank behind them
SHARE = 0.5  # of the lines that the others printed on average until then, which a rank that speaks has itself


def last_words(rank: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """The last line of each rank that fell silent before all others, ascending. rank: of each line, -1 where unknown.

    None where half of the ranks or more did: then it is the others that are special, such as a rank 0 that alone reports.
    """
    spoken = np.flatnonzero(rank >= 0)
    names, which, count = np.unique(rank[spoken], return_inverse=True, return_counts=True)
    last = np.zeros(len(names), np.int64)
    last[which] = spoken  # ascending, so that the last one stays
    order = np.argsort(last, kind="stable")
    found: list[int] = []
    for at, silent in enumerate(order.tolist()):
        others = order[at + 1 :]
        before = np.bincount(which[spoken <= last[silent]], minlength=len(names))
        goes_on = len(others) and ((count - before)[others] >= MORE).all()
        if not goes_on or count[silent] < max(MORE, SHARE * before[others].mean()):
            break
        found.append(int(last[silent]))
    return np.array(sorted(found) if 2 * len(found) < len(names) else [], np.int64)

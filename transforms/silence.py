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
    if len(names) < 2:
        return np.zeros(0, np.int64)
    by_rank, ends = spoken[np.argsort(which, kind="stable")], np.cumsum(count)
    order = np.argsort(by_rank[ends - 1], kind="stable")  # ranks, the first to fall silent first
    last, count = by_rank[ends - 1][order], count[order]
    # The line from which on a rank has MORE of its own, to its end: behind what stands above, it went on.
    went_on = np.where(count >= MORE, by_rank[np.maximum(ends - MORE, 0)][order], -1)
    least = np.minimum.accumulate(went_on[::-1])[::-1]
    said_by_others = np.searchsorted(spoken, last) + 1 - np.cumsum(count)
    others = np.arange(len(names))[::-1]
    spoke = count[:-1] >= np.maximum(MORE, SHARE * said_by_others[:-1] / others[:-1])
    silent = np.append((last[:-1] < least[1:]) & spoke, False)
    found = last[: int(silent.argmin())]
    return found if 2 * len(found) < len(names) else found[:0]

"""Fill a token budget with lines: the likeliest evidence first, what it costs considered, never more than the budget."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

COST = 0.5  # exponent of a line's tokens in its price: 0 would take the likeliest, 1 the likeliest for each token
REPEATS = 0.5  # log-odds that a line loses each time the number of its repeats doubles,
FREE = 3  # from this many on
COPY = 6.0  # log-odds that a line loses because another rank said it before
GIVE_UP = 300  # candidates in a row that did not fit


def worth(
    score: npt.NDArray[np.float32], nth: npt.NDArray[np.int64], copy: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Score less what a repeat is not worth: float32[n]."""
    loss = REPEATS * np.log2(1 + np.maximum(0, nth - FREE + 1)) + COPY * copy
    return (score - loss).astype(np.float32)


def choose(
    value: npt.NDArray[np.float32],
    size: npt.NDArray[np.int64],
    blank: npt.NDArray[np.bool_],
    text: Callable[[int], str],
    tokens: Callable[[int], int],
    marker: int,
    budget: int,
    kept: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.bool_]:
    """Which lines to keep: bool[n].

    value: log-odds; size: bytes of each line, an estimate of its tokens until it is looked at; text and tokens: of a line, asked only
    for candidates; marker: tokens of the mark that a gap costs. kept: lines that are kept already, and paid for by the caller.
    A line whose text is kept already is not taken twice; a blank line only beside a kept one.
    """
    n = len(value)
    chosen = np.zeros(n + 2, bool)  # shifted by one, so that every line has two neighbours
    if kept is not None:
        chosen[1:-1] = kept
    price = value - COST * np.log(size / 3 + 4)
    most = min(n, 4 * budget + 1000)
    best = np.argpartition(-price, most - 1)[:most] if most < n else np.arange(n)
    order = best[np.argsort(-price[best], kind="stable")]
    used, missed = marker, 0
    seen = {text(i) for i in np.flatnonzero(chosen[1:-1]).tolist()}
    for i in order.tolist():
        if chosen[i + 1]:
            continue
        left, right = chosen[i], chosen[i + 2]
        if blank[i]:
            if not (left or right):
                continue
        elif text(i) in seen:
            continue
        gaps = marker if not (left or right) else -marker if left and right else 0
        cost = tokens(i) + gaps
        if used + cost > budget:
            missed += 1
            if missed > GIVE_UP or used >= budget - 3:
                break
            continue
        missed = 0
        chosen[i + 1] = True
        used += cost
        seen.add(text(i))
    return chosen[1:-1]

"""Fill a token budget with lines: the likeliest evidence first, what it costs considered, never more than the budget."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

COST = 0.6  # exponent of a line's tokens in its price: 0 would take the likeliest, 1 the likeliest for each token
REPEATS = 0.35  # log-odds that a line loses each time the number of its repeats doubles,
FREE = 5  # from this many on
COPY = 6.0  # log-odds that a line loses because another rank said it before
CLOSE = 4  # longest gap, in lines, that is looked at to be closed
LONG = 2.0  # characters a token, until lines were counted
GIVE_UP = 300  # candidates in a row that did not fit


def worth(
    score: npt.NDArray[np.float32],
    nth: npt.NDArray[np.int64],
    count: npt.NDArray[np.int64],
    copy: npt.NDArray[np.bool_],
    calm: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float32]:
    """Score less what a repeat is not worth: float32[n].

    nth: how often the line was said before, of count times in all. Of lines that tell of trouble the first count most, of calm ones
    (progress) the last: the state in which the job died.
    """
    repeat = np.where(calm, count - 1 - nth, nth)
    loss = REPEATS * np.log2(1 + np.maximum(0, repeat - FREE + 1)) + COPY * copy
    return np.asarray(score - loss, np.float32)


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

    value: log-odds; size: bytes of each line, an estimate of its tokens until it is looked at; text and tokens: of a line, asked
    only for candidates; marker: tokens of the mark that a gap costs. kept: lines kept already, and paid for by the caller.
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
    used, missed, long = marker, 0, LONG
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
        # What is far too long by what was counted so far is not worth counting.
        if size[i] <= 1.5 * long * (budget - used):
            cost = tokens(i) + gaps
            long = max(long, size[i] / max(1, cost))
        else:
            cost = budget + 1
        if used + cost > budget:
            missed += 1
            if missed > GIVE_UP or used >= budget - 3:
                break
            continue
        missed = 0
        chosen[i + 1] = True
        used += cost
        seen.add(text(i))
        for step in (1, -1):  # a gap that costs no more than its mark is shown
            used -= closed(chosen, i + 1, step, tokens, marker)
    return chosen[1:-1]


def closed(chosen: npt.NDArray[np.bool_], at: int, step: int, tokens: Callable[[int], int], marker: int) -> int:
    """Choose the lines of the gap beside `at` as well, if all of them cost no more than its mark; -> tokens saved."""
    spent, place = 0, at + step
    while 0 < place < len(chosen) - 1 and not chosen[place] and abs(place - at) <= CLOSE:
        spent += tokens(place - 1)
        if spent > marker:
            return 0
        place += step
    if not (0 < place < len(chosen) - 1) or not chosen[place] or place == at + step:
        return 0
    chosen[min(at, place) : max(at, place)] = True
    return marker - spent

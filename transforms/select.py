"""Fill a token budget with lines: the likeliest evidence first, what it costs considered, never more than the budget.

What a line is worth hangs on what was chosen before it: evidence stands together, so a line beside a chosen one is worth more; and
of many lines of a kind (tests that failed, a finding for each file) one more says little, so it is worth less.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

COST = 0.6  # exponent of a line's tokens in its price: 0 would take the likeliest, 1 the likeliest for each token
REPEATS, FREE = 1.0, 2  # log-odds that a line loses each time the number of its repeats doubles, from how many on;
OF_PARTS, FREE_PARTS = 0.35, 5  # and a frame, caret or line of source, which says where something else went wrong
COPY = 6.0  # log-odds that a line loses because another rank said it before
BESIDE = (
    1.2  # log-odds that a line wins next to a chosen one, up to what that is worth by itself; less farther away, to
)
REACH = 4  # lines before and behind;
WIDER = 400  # that begins behind so many tokens of the likeliest lines, wherever they stand
ALIKE = 0.7  # log-odds that a line loses each time the number of chosen blocks with a line of its kind doubles,
MANY = 4  # from this many on
CLOSE = 4  # longest gap, in lines, that is looked at to be closed
GAIN = [BESIDE * (1 - (abs(i) - 1) / REACH) if i else 0.0 for i in range(-REACH, REACH + 1)]
LONG = 2.0  # characters a token, until lines were counted
GIVE_UP = 300  # candidates in a row that did not fit


def again(
    nth: npt.NDArray[np.int64], count: npt.NDArray[np.int64], calm: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """How many like each line count more: int64[n]. nth: how often it was said before, of count times in all.

    Of lines that tell of trouble the first count most, of calm ones (progress) the last: the state in which the job died.
    """
    return np.where(calm, count - 1 - nth, nth)


def worth(
    score: npt.NDArray[np.float32],
    nth: npt.NDArray[np.int64],
    count: npt.NDArray[np.int64],
    copy: npt.NDArray[np.bool_],
    calm: npt.NDArray[np.bool_],
    part: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float32]:
    """Score less what a repeat is not worth: float32[n].

    nth, count, calm: as again() has them. copy: another rank said it before. part: of a stack or an excerpt of source.
    """
    repeat = again(nth, count, calm)
    free, each = np.where(part, FREE_PARTS, FREE), np.where(part, OF_PARTS, REPEATS)
    loss = each * np.log2(1 + np.maximum(0, repeat - free + 1)) + COPY * copy
    return np.asarray(score - loss, np.float32)


class Queue:
    """The lines by what each is worth now, the best first.

    A line of a kind of which many blocks were chosen waits with others of its kind, and one entry of the queue stands for them:
    when the kind loses worth, that one is weighed again, and not all its lines.
    """

    def __init__(
        self,
        price: npt.NDArray[np.float64],
        candidates: npt.NDArray[np.int64],
        block: npt.NDArray[np.int64],
        kind: Callable[[int], bytes],
    ) -> None:
        """price, block: of every line, log-odds less the cost; kind: of a line, alike for lines that say much the same, or b""."""
        self._price = price
        self._block, self._kind = block, kind
        order = candidates[np.lexsort((candidates, -price[candidates]))]
        # As they stand at the beginning, and where we are; a heap of them all would cost more than most of them ever do.
        self._lines: list[int] = order.tolist()
        self._costs: list[float] = (-price[order]).tolist()
        self._at = 0
        self._heap: list[
            tuple[float, int, bytes]
        ] = []  # what came later; with the kind for which the entry stands, or none
        self._waiting: dict[bytes, list[tuple[float, int]]] = {}  # heaps, too
        self._narrow: list[int] = []  # chosen lines that did not raise what stands beside them
        self._won: dict[int, float] = {}  # by a chosen line beside it
        self._chosen: set[tuple[bytes, int]] = set()  # kinds, with the block that each stands in
        self._blocks: dict[bytes, int] = {}  # of each kind
        self._many: set[bytes] = set()  # kinds of which MANY blocks were chosen

    def pop(self) -> int:
        """The line that is worth most; -1 where none is left. A line comes again when it is worth more."""
        while self._heap or self._at < len(self._lines):
            worth, line, stands_for = self._next()
            if not self._many:
                return line
            kind = stands_for or self._kind(line)
            if kind not in self._many or (not stands_for and (kind, int(self._block[line])) in self._chosen):
                return line
            waiting = self._waiting.setdefault(kind, [])
            if not stands_for:
                heapq.heappush(waiting, (worth, line))
                if waiting[0][1] == line:
                    self._enter(kind, waiting)
            elif waiting and worth >= waiting[0][0] + self._loss(kind):
                line = heapq.heappop(waiting)[1]
                self._enter(kind, waiting)
                return line
            else:
                self._enter(kind, waiting)
        return -1

    def _next(self) -> tuple[float, int, bytes]:
        if self._at < len(self._lines):
            first = (self._costs[self._at], self._lines[self._at], b"")
            if not self._heap or first < self._heap[0]:
                self._at += 1
                return first
        return heapq.heappop(self._heap)

    def chose(self, line: int) -> None:
        """Tell that a line was chosen: others of its kind are worth less from now on."""
        kind = self._kind(line)
        if kind:
            place = (kind, int(self._block[line]))
            if place not in self._chosen:
                self._chosen.add(place)
                self._blocks[kind] = self._blocks.get(kind, 0) + 1
                if self._blocks[kind] >= MANY:
                    self._many.add(kind)
        self._narrow.append(line)

    def widen(self) -> None:
        """What stands beside the lines that were chosen so far is worth more from now on."""
        for line in self._narrow:
            self._raise(line)
        self._narrow.clear()

    def _raise(self, line: int) -> None:
        first = max(0, line - REACH)
        price, won = float(self._price[line]), self._won
        for beside, own in enumerate(self._price[first : line + REACH + 1].tolist(), first):
            if own < price:
                gain = min(GAIN[beside - line + REACH], price - own)
                if gain > won.get(beside, 0.0):
                    won[beside] = gain
                    heapq.heappush(self._heap, (-own - gain, beside, b""))

    def _enter(self, kind: bytes, waiting: list[tuple[float, int]]) -> None:
        if waiting:
            heapq.heappush(self._heap, (waiting[0][0] + self._loss(kind), waiting[0][1], kind))

    def _loss(self, kind: bytes) -> float:
        return ALIKE * math.log2(2 + self._blocks[kind] - MANY)


def choose(
    value: npt.NDArray[np.float32],
    size: npt.NDArray[np.int64],
    blank: npt.NDArray[np.bool_],
    block: npt.NDArray[np.int64],
    kind: Callable[[int], bytes],
    text: Callable[[int], str],
    tokens: Callable[[int], int],
    marker: int,
    budget: int,
    kept: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.bool_]:
    """Which lines to keep: bool[n].

    value: log-odds; size: bytes of each line, an estimate of its tokens until it is looked at; block: of each line; kind: of a
    line, b"" where it does not matter; text and tokens: of a line; these three are asked only for candidates. marker: tokens
    of the mark that a gap costs. kept: lines kept already, and paid for by the caller.
    A line whose text is kept already is not taken twice; a blank line only beside a kept one.
    """
    n = len(value)
    chosen = np.zeros(n + 2, bool)  # shifted by one, so that every line has two neighbours
    if kept is not None:
        chosen[1:-1] = kept
    price = np.asarray(value - COST * np.log(size / 3 + 4), np.float64)
    most = min(n, 4 * budget + 1000)
    best = np.argpartition(-price, most - 1)[:most] if most < n else np.arange(n)
    queue = Queue(price, best, block, kind)
    used, missed, long = marker, 0, LONG
    seen = set[str]()
    for i in np.flatnonzero(chosen[1:-1]).tolist():
        seen.add(text(i))
        queue.chose(i)
    if seen:
        queue.widen()
    while (i := queue.pop()) >= 0:
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
        queue.chose(i)
        if used >= WIDER:
            queue.widen()
        for step in (1, -1):  # a gap that costs no more than its mark is shown
            gap, saved = closing(chosen, i + 1, step, tokens, marker)
            used -= saved
            for line in gap:
                chosen[line + 1] = True
                seen.add(text(line))
                queue.chose(line)
    return chosen[1:-1]


def closing(
    chosen: npt.NDArray[np.bool_], at: int, step: int, tokens: Callable[[int], int], marker: int
) -> tuple[range, int]:
    """Lines of the gap beside `at`, if all of them cost no more than its mark, and tokens saved by showing them.

    chosen and at are shifted by one, the lines are not.
    """
    spent, place = 0, at + step
    while 0 < place < len(chosen) - 1 and not chosen[place] and abs(place - at) <= CLOSE:
        spent += tokens(place - 1)
        if spent > marker:
            return range(0), 0
        place += step
    if not (0 < place < len(chosen) - 1) or not chosen[place] or place == at + step:
        return range(0), 0
    return range(min(at, place), max(at, place) - 1), marker - spent

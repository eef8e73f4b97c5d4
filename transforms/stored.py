"""The stored lines of a job as one log to choose from, line by line, as the lines of a log are chosen (select.py).

A stored segment has one score, that of its strongest line. The others are worth less by as much as the rules think less of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.transforms import render
from tracewinnow.transforms.classify import TROUBLE
from tracewinnow.transforms.offers import Offer, copied
from tracewinnow.transforms.rank import BACKGROUND, Costs, background, kind_of
from tracewinnow.transforms.reading import Reading, read
from tracewinnow.transforms.score import score
from tracewinnow.transforms.select import REACH, again, choose
from tracewinnow.transforms.words import bits_of

LESS = 0.6  # of what the rules think less of a line than of the strongest of its segment
AGAIN = 1.5  # log-odds that a line loses each time that what was said before (of calm lines: behind) like it doubles
APART = REACH  # lines that stand for a gap: what is chosen on one side of it makes nothing on the other worth more
NEVER = -1e6


@dataclass(slots=True)
class Stored:
    """offers: of lines, by trace and place. reading: their lines, and APART empty ones for each gap.

    owner: int64[n], offer of each line, -1 in a gap. place: int64[n], of a line in its segment. paid: float32[n], what it is worth.
    """

    offers: list[Offer]
    reading: Reading
    owner: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]
    paid: npt.NDArray[np.float32]
    marker: int

    def choose(self, room: int) -> list[Offer]:
        """The likeliest lines that fit, joined to parts of their segments, in the order of the log."""
        if not len(self.owner) or room < 1:
            return []
        view, there = self.reading.view, self.owner >= 0
        costs = Costs(self.reading.shown, room, {}, {})
        size = np.fromiter(map(len, self.reading.shown), np.int64, len(self.owner)).clip(max=costs.longest)
        blank = ((view.bits & bits_of("blank")) != 0) & there

        def kind(line: int) -> bytes:
            return kind_of(self.reading.templates[int(view.template[line])], int(view.bits[line]))

        def said(line: int) -> str:
            return costs.said(line) if there[line] else f"\n{line}"

        def size_of(line: int) -> int:
            return costs.tokens(line) if there[line] else room + 1

        chosen = choose(self.paid, size, blank, self.owner, kind, said, size_of, self.marker, room)
        lines = np.flatnonzero(chosen)
        breaks = np.flatnonzero((np.diff(lines) > 1) | (np.diff(self.owner[lines]) != 0)) + 1
        return [self._part(run, costs) for run in np.split(lines, breaks) if len(run)]

    def _part(self, run: npt.NDArray[np.int64], costs: Costs) -> Offer:
        offer = self.offers[int(self.owner[run[0]])]
        whole = offer.segment
        segment = copied(whole, "\n".join(costs.text(line) for line in run.tolist()))
        head = size = 0
        if whole.last - whole.first == whole.text.count("\n"):  # else it is one line here
            head, size = render.head_of(whole.text), whole.last - whole.first
            segment.first = whole.first + int(self.place[run[0]])
            segment.last = whole.first + int(self.place[run[-1]])
        own = self.reading.template_name(int(run[0]) + render.head_of(segment.text))
        # One line of a block is a part of it that a clue raised: whether it is the head, the template tells.
        alone = not size and segment.first == segment.last
        raised = alone and segment.kind == "block" and segment.template != own
        if raised or not self.place[run[0]] <= head <= self.place[run[-1]]:
            segment.count, segment.template = 1, own  # what the segment stands for is said of its head alone
        if len(segment.ranks) > 1 and segment.count <= 1 and (raised or len(run) <= size):
            segment.ClearField("ranks")  # which of its lines is whose is not stored
        return Offer(offer.trace, segment, offer.value, segment.tokens + 1)


def stored(offers: Sequence[Offer], traces: Sequence[PreprocessedTrace]) -> Stored:
    """What there is to choose from. offers: of lines, in any order."""
    offers = sorted(offers, key=lambda o: (o.trace, o.segment.first, -o.segment.last, o.segment.text))
    inner = parts_of_others(offers)
    text: list[str] = []
    rank: list[int] = []
    owner: list[int] = []
    place: list[int] = []
    before: Offer | None = None
    for number, offer in enumerate(offers):
        segment = offer.segment
        if inner.get((offer.trace, segment.first)) == number:
            continue
        lines = segment.text.split("\n")
        if len(lines) != segment.last - segment.first + 1:
            lines = [segment.text.replace("\n", " ")]
        if before is not None and (before.trace, before.segment.last + 1) != (offer.trace, segment.first):
            text += [""] * APART
            rank += [-1] * APART
            owner += [-1] * APART
            place += [0] * APART
        text += lines
        rank += [segment.ranks[0] if len(segment.ranks) == 1 else -1] * len(lines)
        for at in range(len(lines)):
            part = inner.get((offer.trace, segment.first + at))
            owner.append(number if part is None else part)
            place.append(at if part is None else 0)
        before = offer
    reading, of = read(text, rank), np.array(owner, np.int64)
    reading.shown = text  # what is stored was made fit to be shown before
    value = np.array([offer.value for offer in offers], np.float32)
    marker = render.marker_tokens(max((trace.lines_before for trace in traces), default=1))
    return Stored(offers, reading, of, np.array(place, np.int64), worth(reading, of, value), marker)


def parts_of_others(offers: Sequence[Offer]) -> dict[tuple[int, int], int]:
    """Offers of one line that stands in a longer one, which a clue raised: (trace, line) -> its number.

    offers: those of one trace by their first line, the longer ones first.
    """
    found: dict[tuple[int, int], int] = {}
    trace, end = -1, 0
    for number, offer in enumerate(offers):
        segment = offer.segment
        if offer.trace == trace and segment.first == segment.last <= end:
            found[trace, segment.first] = number
        else:
            trace, end = offer.trace, segment.last
    return found


def worth(reading: Reading, owner: npt.NDArray[np.int64], value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What each line is worth: float32[n]. owner: of each line, -1 in a gap; value: of each owner."""
    view, repeats, there = reading.view, reading.repeats, owner >= 0
    paid = np.full(len(owner), NEVER, np.float32)
    own = score(view)
    best = np.full(len(value), NEVER, np.float32)
    np.maximum.at(best, owner[there], own[there])
    paid[there] = value[owner[there]] + LESS * (own[there] - best[owner[there]])
    calm = (view.bits & TROUBLE) == 0
    said = again(repeats.nth, repeats.count, calm)
    paid[there] -= AGAIN * np.log2(1 + said[there])
    paid[background(reading) & there] -= BACKGROUND
    return paid

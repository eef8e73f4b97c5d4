"""Which of the stored segments to print: the most that is new to the reader for its price, never more than there is room for."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.transforms import render, tokens
from tracewinnow.transforms.rank import ASKED, relevance
from tracewinnow.transforms.select import COST

NUMBERS = frozenset(("series", "memory", "spans", "sparse"))
NUMBERS_SHARE = 0.45  # of the room, for summaries of numbers, where there are lines too;
TROUBLE_SHARE = 0.4  # this much is theirs before any line, for series in trouble
TROUBLE = 1.9  # the least value of such a summary
LARGEST_SHARE = 3  # a segment may take one part in three of the room; of what is longer an end is shown
CAP = 8.0  # value above which there is no more certain
UNLIKELY = -3.0  # score below which noise is left out: above it the model of classes may be wrong
SAID = 7.0  # log-odds that a segment loses when all of it was said before,
SCANT = 1.5  # and a heading, or a word or two: it says little without what stands under it
LINE = 100  # tokens that one line may always take, if there is room
WINDOW = 40  # tokens that the first segment of one more window costs: its name, and that of those left out around it
LOOKED_AT = 3000  # the likeliest offers; the rest is not looked at
MARK = 12  # tokens that a piece costs beside its own, about: a mark of a gap with its numbers
WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Offer:
    """A stored segment that may be chosen. trace: index into the traces. tokens: with its line end."""

    trace: int
    segment: Segment
    value: float
    tokens: int


def offered(index: int, trace: PreprocessedTrace, query: str, noise: bool = False) -> list[Offer]:
    """The segments of one trace with their worth to this reader; UNLIKELY noise only if `noise` or the query asks for it."""
    asked = relevance([s.text for s in trace.segments], query).tolist() if query else [0.0] * len(trace.segments)
    return [
        Offer(index, segment, segment.score + ASKED * share, segment.tokens + 1)
        for segment, share in zip(trace.segments, asked, strict=True)
        if noise or share >= 0.5 or segment.label != "noise" or segment.score > UNLIKELY
    ]


def price(offer: Offer, value: float, most: float = math.inf) -> float:
    """What counts in the choice: log-odds less what the tokens cost, of which it takes at most `most`."""
    return value - COST * math.log(min(offer.tokens, most) + MARK)


def ranked(offers: list[Offer]) -> list[Offer]:
    """The most evidence for its price first."""
    return sorted(
        offers, key=lambda o: (-price(o, min(o.value, CAP)), o.trace, o.segment.first, o.segment.text)
    )  # fmt: skip


def choose(offers: list[Offer], traces: Sequence[PreprocessedTrace], room: int, said: str = "") -> list[Offer]:
    """The best offers that fit, in the order in which they were chosen.

    offers: ranked. said: what the reader was told already. Greedy: after each choice what repeats it is worth less, which is looked
    at only when its turn comes (lazy greedy, Minoux 1978). A segment that does not fit whole is shown from the end that tells more.
    """
    total, chosen, windows = room, list[Offer](), set[int]()
    known, texts = pairs(said), set[str]()
    lines = any(o.segment.kind not in NUMBERS for o in offers)
    limit = room * (NUMBERS_SHARE if lines else 1.0)
    names = set[str]()

    def take(offer: Offer, cost: int) -> None:
        nonlocal room, known, limit
        chosen.append(offer)
        room -= cost
        windows.add(offer.trace)
        texts.add(offer.segment.text)
        known = known | pairs(offer.segment.text)
        if offer.segment.kind in NUMBERS:
            limit -= cost
            names.add(name(offer.segment))

    def entry(offer: Offer) -> int:
        window = WINDOW if len(traces) > 1 and offer.trace not in windows else 0
        return window + (0 if offer.segment.kind in NUMBERS else render.marker_tokens(traces[offer.trace].lines_before))

    telling = [o for o in offers if o.segment.kind in ("series", "memory") and o.value >= TROUBLE]
    share = total * TROUBLE_SHARE if lines else total
    for offer in sorted(telling, key=lambda o: (-o.value, o.trace, o.segment.text)):
        cost = offer.tokens + entry(offer)
        if name(offer.segment) not in names and cost <= room and offer.tokens <= share:
            take(offer, cost)
            share -= offer.tokens
    largest = max(total // LARGEST_SHARE, WINDOW)
    waiting = [(-price(o, min(o.value, CAP), largest), at, o) for at, o in enumerate(offers[:LOOKED_AT])]
    heapq.heapify(waiting)
    while waiting and room > 8:
        _, at, offer = heapq.heappop(waiting)
        segment = offer.segment
        if segment.text in texts:
            continue
        worth = -price(offer, min(offer.value, CAP) - loss(segment, known, names), largest)
        if waiting and worth > waiting[0][0] + 1e-6:
            heapq.heappush(waiting, (worth, at, offer))
            continue
        left = room - entry(offer)
        if segment.kind in NUMBERS:
            fitting = offer if offer.tokens <= min(left, limit) else None
        elif offer.tokens <= min(left, largest if segment.first < segment.last else max(total // 2, LINE)):
            fitting = offer
        else:
            fitting = shortened(offer, min(left, largest)) if offer.value > 0 else None
            if (
                fitting is not None and loss(fitting.segment, known, names) > 0.8 * SAID
            ):  # what is new in it did not fit
                fitting = None
        if fitting is not None:
            take(fitting, fitting.tokens + entry(fitting))
    return chosen


def pairs(text: str) -> frozenset[tuple[str, str]]:
    """Neighbouring words of each line, numbers left out: what a text says."""
    found: set[tuple[str, str]] = set()
    for line in text.split("\n"):
        words = WORD.findall(line)
        found.update(zip(words, words[1:] or words, strict=False))
    return frozenset(found)


def loss(segment: Segment, known: frozenset[tuple[str, str]], names: set[str]) -> float:
    """Log-odds that a segment loses for what was said before. names: of the series that were told."""
    if segment.kind in ("series", "memory"):
        return SAID / 2 if name(segment) in names else 0.0
    own = pairs(segment.text)
    return SAID * (len(own & known) / len(own) if own else 0.5) + SCANT * (len(own) < 3 or segment.text.endswith(":"))


def name(segment: Segment) -> str:
    """What a summary of numbers is of."""
    return segment.text.split(" steps ", 1)[0].split(":", 1)[0]


def shortened(offer: Offer, most: int) -> Offer | None:
    """The end, or else the beginning, of a segment of several lines in at most `most` tokens; None if no line fits.

    A block that ends at the margin is told by its last line (a traceback by its exception), one that is indented below its first
    line by that one (a compiler's message, a stack with the most recent call first).
    """
    lines = offer.segment.text.split("\n")
    if len(lines) != offer.segment.last - offer.segment.first + 1:
        return None
    ends = lines[0][:1].isspace() or not lines[-1][:1].isspace()
    kept, size = 0, 0
    for line in reversed(lines) if ends else lines:
        size += tokens.count(line + "\n")
        if size > most:
            break
        kept += 1
    while ends and kept and not WORD.search(lines[-kept]):  # carets under a line that did not fit
        kept -= 1
    if kept < 2 - ends:  # a first line is a heading of what follows
        return None
    return part(offer, len(lines) - kept if ends else 0, len(lines) if ends else kept)


def part(offer: Offer, start: int, end: int) -> Offer:
    """The lines start to end - 1 of a segment, from 0."""
    segment = Segment()
    segment.CopyFrom(offer.segment)
    segment.text = "\n".join(segment.text.split("\n")[start:end])
    segment.first, segment.last = segment.first + start, segment.first + end - 1
    segment.tokens = tokens.count(segment.text)
    return replace(offer, segment=segment, tokens=segment.tokens + 1)

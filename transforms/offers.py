"""What may stand in an answer: stored segments with their worth to this reader; and which summaries of numbers do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.transforms import tokens
from tracewinnow.transforms.rank import ASKED, relevance
from tracewinnow.transforms.render import head_of

NUMBERS = frozenset(("series", "memory", "spans", "sparse"))
TROUBLE = 1.9  # the least value of a summary of a series in trouble; of the room such have
TROUBLE_SHARE = 0.4  # this much before any line,
OTHER_SHARE = 0.15  # and others of them this much, where there are lines too
UNLIKELY = -5.0  # score below which what was drawn is left out: above it the model of classes may be wrong


@dataclass(frozen=True, slots=True)
class Offer:
    """A stored segment that may be chosen. trace: index into the traces. tokens: with its line end."""

    trace: int
    segment: Segment
    value: float
    tokens: int


def offered(index: int, trace: PreprocessedTrace, query: str, noise: bool = False) -> list[Offer]:
    """The segments of one trace with their worth to this reader; of what was drawn only if `noise`, likely, or asked for."""
    asked = relevance([s.text for s in trace.segments], query).tolist() if query else [0.0] * len(trace.segments)
    return [
        Offer(index, segment, segment.score + ASKED * share, segment.tokens + 1)
        for segment, share in zip(trace.segments, asked, strict=True)
        if noise or share >= 0.5 or segment.score > UNLIKELY or not drawn(segment)
    ]


def drawn(segment: Segment) -> bool:
    """Whether a segment is noise, or progress that was drawn and stands for more of its kind."""
    return segment.label == "noise" or segment.keep_probability < 1


def told(numbers: Sequence[Offer], room: int, lines: bool) -> list[Offer]:
    """The summaries of numbers that are told before any line: those in trouble, then others, each series once.

    lines: whether there are any; else the room is theirs alone.
    """
    chosen: list[Offer] = []
    names = set[str]()
    in_order = sorted(numbers, key=lambda o: (-o.value, o.trace, o.segment.text))
    trouble = [o for o in in_order if o.value >= TROUBLE and o.segment.kind in ("series", "memory")]
    others = [o for o in in_order if o not in trouble]
    for some, share in ((trouble, TROUBLE_SHARE), (others, OTHER_SHARE)):
        left = min(room, room * share if lines else room)
        for offer in some:
            if offer.tokens <= left and name(offer.segment) not in names:
                chosen.append(offer)
                names.add(name(offer.segment))
                left -= offer.tokens
                room -= offer.tokens
    return chosen


def name(segment: Segment) -> str:
    """What a summary of numbers is of."""
    return segment.text.split(" steps ", 1)[0].split(":", 1)[0]


def copied(segment: Segment, text: str) -> Segment:
    """A segment of which no more than `text` stands there."""
    copy = Segment()
    copy.CopyFrom(segment)
    copy.text, copy.tokens = text, tokens.count(text)
    return copy


def part(offer: Offer, start: int, end: int) -> Offer:
    """The lines start to end - 1 of a segment, from 0. What it stands for is said of its head alone."""
    whole = offer.segment
    segment = copied(whole, "\n".join(whole.text.split("\n")[start:end]))
    if not start <= head_of(whole.text) < end:
        segment.count = 1
    segment.first, segment.last = whole.first + start, whole.first + end - 1
    return replace(offer, segment=segment, tokens=segment.tokens + 1)

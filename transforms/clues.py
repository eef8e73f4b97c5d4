"""What the segments of a job say about one another: which line belongs to the cause though it does not look like trouble.

Five clues, none of which knows what kind of job it was:
- a line that names the thing that the failure names (the file that is missing was removed an hour before);
- a rare line in the moment in which a series left its course (a schedule changed, then the loss jumped);
- the rank that the others speak of while it speaks of nobody (they wait for it), and what a launcher says of that rank;
- a line that this rank alone printed (a setting that the others do not have);
- of lines that ranks print alike, the one that differs from all others (it stands at another step).
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.transforms.offers import Offer, drawn, offered, part

LINKED = 12.0  # log-odds that a rare line wins by a link to the failure,
LINKED_MOST = 8.0  # which raises it no further than this
ROOT = 2.0  # log-odds for the block that ends with the failure that the job is said to have died of
LATER = 4.0  # the most for a crash that is another one
SUSPECT = 2.5  # the most log-odds for what the rank says that the others speak of, and for what a launcher says of it: as many as
#   the line has itself,
FOLLOWS = 1.5  # log-odds that the others lose then,
ODD = 1.5  # and for the one line of a kind that differs
AGAIN = 0.5  # log-odds that a message loses each time that the number of its repeats in a rank doubles
TELLING = 2.0  # least score of a series whose onset is looked at
MOST = 6000  # offers that are looked at
FEW, ALONE = 2, 8  # times that one rank alone prints a line that counts as special, and the most such lines
LONGEST_REASON = 2000  # characters of the reason that are looked at,
REASON = 80  # and that are looked for
THING = re.compile(r"[\w.+-]*[^\W\d_][\w.+-]*[\w+]")
RANK = re.compile(r"\brank[ :=#]{0,2}(\d{1,6})\b", re.IGNORECASE)
FIELD = r"\brank {{0,16}}[:=#]? ?{}\b"  # the same, and as launchers print it, in columns
CRASH = re.compile(r"job crash: rank (\d+)")
KIND = re.compile(r"[^\W\d_]{3,}")


def weighed(traces: Sequence[PreprocessedTrace], query: str = "") -> tuple[list[Offer], int]:
    """Offers of all the traces of one job, with what the clues add, and the rank that the others speak of (-1: none)."""
    offers = likeliest([offer for index, trace in enumerate(traces) for offer in offered(index, trace, query)])
    reason = next((trace.job.reason for trace in reversed(traces) if trace.job.reason), "")
    suspect = spoken_of(offers)
    field = re.compile(FIELD.format(suspect), re.IGNORECASE) if suspect >= 0 else None
    linked = links(traces, reason) + (alone(traces, suspect) if suspect >= 0 else [])
    total, ranks = occurrences(traces, {o.segment.template for o in (*offers, *linked)})
    different = differing(offers)
    found: dict[tuple[int, int, int], Offer] = {}
    for at, offer in enumerate(offers):
        segment, value = offer.segment, offer.value
        if segment.label == "actionable" and segment.first:
            own = tuple(segment.ranks)
            if own == (suspect,) or (field and not own and field.search(segment.text)):
                value += min(SUSPECT, max(0.0, segment.score))
            elif suspect >= 0 and own and suspect not in own:
                value -= FOLLOWS
            value += ODD * (segment.template in different.get(own, ()))
            if segment.kind != "block":  # which many begin alike
                each = total[segment.template] / max(1, len(ranks[segment.template]))
                value -= AGAIN * math.log2(max(1.0, each / 2))
            if reason:
                value = told_by(segment, reason, value)
            offer = Offer(offer.trace, segment, value, offer.tokens)
        found[(offer.trace, segment.first, segment.last or at)] = offer
    for offer in linked:
        segment = offer.segment
        rare = math.sqrt(min(1.0, max(1, len(ranks[segment.template])) / max(1, total[segment.template])))
        value = max(segment.score, min(LINKED_MOST, segment.score + LINKED * rare))
        key = (offer.trace, segment.first, segment.last)
        if key not in found or found[key].value < value:
            if drawn(segment):  # no longer
                segment = Segment()
                segment.CopyFrom(offer.segment)
                segment.label, segment.keep_probability = "context", 1.0
            found[key] = replace(offer, segment=segment, value=value)
    return list(found.values()), suspect


def likeliest(offers: list[Offer]) -> list[Offer]:
    """Those that have a chance, where there are very many: any answer is made of fewer."""
    if len(offers) <= MOST:
        return offers
    least = sorted((offer.value for offer in offers), reverse=True)[MOST - 1]
    return [offer for offer in offers if offer.value >= least or not offer.segment.first]


def told_by(segment: Segment, reason: str, value: float) -> float:
    """What a segment is worth where the job's failure is known: its own block more, the crashes that followed less."""
    root = reason[:REASON] in segment.text
    if segment.text.startswith("job crash"):
        return value if root else min(value, LATER)
    return value + ROOT if root and segment.kind == "block" else value


def occurrences(traces: Sequence[PreprocessedTrace], templates: set[str]) -> tuple[dict[str, int], dict[str, set[int]]]:
    """How often each of the templates was printed, as far as it is stored, and by which ranks."""
    total: dict[str, int] = defaultdict(int)
    ranks: dict[str, set[int]] = defaultdict(set)
    for trace in traces:
        for segment in trace.segments:
            template = segment.template
            if template in templates:
                total[template] += max(1, segment.count)
                ranks[template].update(segment.ranks)
    return total, ranks


def links(traces: Sequence[PreprocessedTrace], reason: str) -> list[Offer]:
    """Lines that name what the failure names, and those of the moment in which the first series left its course."""
    named = things(reason[:LONGEST_REASON])
    speaks = re.compile("|".join(map(re.escape, named))) if named else None
    at, (first, last) = first_onset(traces)
    found = []
    for index, trace in enumerate(traces):
        if index != at and speaks is None:
            continue
        for segment in trace.segments:
            hit = speaks.search(segment.text) if speaks else None
            if hit is None and (index != at or not first <= segment.first_time_ns <= last):
                continue
            if not segment.first or segment.score > LINKED_MOST or segment.label == "metadata":
                continue
            offer = Offer(index, segment, segment.score, segment.tokens + 1)
            found.append(line_of(offer, hit.start()) if hit and segment.score < 0 else offer)
    return found


def alone(traces: Sequence[PreprocessedTrace], rank: int) -> list[Offer]:
    """Single lines that no other rank printed, where they are few: what is special about this one."""
    total, ranks = occurrences(traces, {s.template for trace in traces for s in trace.segments if s.first})
    found = [
        Offer(index, segment, segment.score, segment.tokens + 1)
        for index, trace in enumerate(traces)
        for segment in trace.segments
        if segment.first and segment.first == segment.last and segment.label != "actionable"
        and ranks[segment.template] == {rank} and total[segment.template] <= FEW
    ]  # fmt: skip
    return found if len(found) <= ALONE else []


def first_onset(traces: Sequence[PreprocessedTrace]) -> tuple[int, tuple[int, int]]:
    """Trace and time in which the first series came into trouble; (-1, (0, 0)) where none did, or it cannot be told closely."""
    for index, trace in enumerate(traces):
        span = max(1, trace.job.last_time_ns - trace.job.first_time_ns)
        moments = [
            (s.last_time_ns, s.first_time_ns)
            for s in trace.segments
            if s.kind == "series" and s.score >= TELLING and 0 <= s.last_time_ns - s.first_time_ns < span / 10
        ]
        if moments and min(moments)[0]:
            last, first = min(moments)
            return index, (first, last)
    return -1, (0, 0)


def line_of(offer: Offer, place: int) -> Offer:
    """The one line of a segment that holds the character at `place`."""
    at = offer.segment.text.count("\n", 0, place)
    whole = offer.segment.text.count("\n") == offer.segment.last - offer.segment.first
    return part(offer, at, at + 1) if whole and offer.segment.last > offer.segment.first else offer


def things(reason: str) -> list[str]:
    """Names of files, hosts, tensors and the like in a message: words with a digit or a mark inside, without their folder."""
    message = reason.split(": ", 1)[-1]
    found = []
    for word in THING.findall(message):
        if len(word) >= 5 and re.search(r"\w[\d._+-]|\d", word) and re.search(r"[\d._+-]", word) and word not in found:
            found.append(word)
    return found[:8]


def spoken_of(offers: Sequence[Offer]) -> int:
    """The rank that others name in trouble while it names none, if there is just one; else -1."""
    names: dict[int, set[int]] = defaultdict(set)
    for offer in offers:
        segment = offer.segment
        if (
            segment.label != "actionable"
            or segment.score <= 0
            or not segment.ranks
            or "rank" not in segment.text.lower()
        ):
            continue
        own = set(segment.ranks)
        for line in segment.text.split("\n"):
            told = CRASH.match(line)
            speakers = {int(told[1])} if told else own
            others = {int(rank) for rank in RANK.findall(line)} - speakers - own
            for rank in speakers if others else ():
                names[rank] |= others
    ends = {rank for others in names.values() for rank in others} - names.keys()
    return ends.pop() if len(ends) == 1 else -1


def differing(offers: Sequence[Offer]) -> dict[tuple[int, ...], set[str]]:
    """Ranks -> templates of the lines that differ, in one word or number, from what all other ranks agree on."""
    kinds: dict[tuple[str, ...], dict[int, Segment]] = defaultdict(dict)
    for offer in offers:
        segment = offer.segment
        if segment.label == "actionable" and segment.score > -1 and len(segment.ranks) == 1 and segment.first:
            kind = tuple(KIND.findall(segment.text[:400].split("\n", 1)[0])[:5])
            kinds[kind].setdefault(segment.ranks[0], segment)
    found: dict[tuple[int, ...], set[str]] = defaultdict(set)
    for kind, by_rank in kinds.items():
        if len(kind) < 3 or len(by_rank) < 3:
            continue
        words = {rank: segment.text.split("\n", 1)[0].split() for rank, segment in by_rank.items()}
        odd: set[int] = set()
        for column in zip(*words.values(), strict=False):
            values = set(column)
            if len(values) == 2:
                once = [value for value in values if column.count(value) == 1]
                odd.update(
                    rank for rank, value in zip(words, column, strict=True) if len(once) == 1 and value == once[0]
                )
        if len(odd) == 1:
            rank = odd.pop()
            found[(rank,)].add(by_rank[rank].template)
    return found

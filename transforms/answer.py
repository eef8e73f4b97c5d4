"""One answer over all the traces of a job, from the segments that were stored; the archive is not read."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.transforms import render, tokens
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.rank import ASKED, relevance
from tracewinnow.transforms.select import COPY, COST

NUMBERS_SHARE = 0.3  # of the budget, for summaries of numbers, where there are lines too
HEADER_SHARE = 0.3  # of the budget, for what is said about the job
EXPLAINED_FROM = 300  # tokens of budget from which the marks are explained
NUMBERS = frozenset(("series", "memory", "spans", "sparse"))


@dataclass(frozen=True, slots=True)
class Answer:
    """text: what to send, at most `budget` tokens. chosen: (trace_id, segment) in the order of the text."""

    text: str
    tokens: int
    tokens_before: int  # of all the traces together
    chosen: tuple[tuple[str, Segment], ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A stored segment that may be chosen. trace: index into the traces."""

    trace: int
    segment: Segment
    value: float
    tokens: int


def answer(
    traces: Sequence[PreprocessedTrace], budget: int, query: str | None = None, holes: Sequence[str] = ()
) -> Answer:
    """Choose over the stored segments of all the traces of one job, and print them in time order under a token budget.

    traces: in any order; of one window and part the highest revision counts. holes: a sentence for each hole in a process's
    sequence; they stand in the header. Does no I/O. Raises BadUse for a budget below 1.
    """
    Options(budget)
    traces = latest(traces)
    head = header(traces, budget, holes)
    offers = ranked([offer for i, trace in enumerate(traces) for offer in offered(i, trace, query or "")])
    chosen = choose(offers, traces, budget - tokens.count("\n".join(head) + "\n"))
    while True:
        text = compose(head, chosen, traces)
        over = tokens.count(text) - budget
        if over <= 0:
            break
        if chosen:
            chosen.remove(min(chosen, key=lambda o: (o.value, -o.trace, -o.segment.first)))
        elif len(head) > 1:
            head.pop()
        else:
            text = tokens.head(offers[0].segment.text if offers else head[0], budget)
            break
    chosen.sort(key=lambda o: (o.trace, o.segment.first))
    return Answer(
        text,
        tokens.count(text),
        sum(trace.tokens_before for trace in traces),
        tuple((traces[o.trace].trace_id, o.segment) for o in chosen),
    )


def ranked(offers: list[Offer]) -> list[Offer]:
    """The most evidence for its price first."""
    return sorted(
        offers, key=lambda o: (-(o.value - COST * math.log(o.tokens + 4)), o.trace, o.segment.first, o.segment.text)
    )


def latest(traces: Sequence[PreprocessedTrace]) -> list[PreprocessedTrace]:
    """In time order, of each window and part the highest revision."""
    best: dict[tuple[int, int, str], PreprocessedTrace] = {}
    for trace in traces:
        key = (trace.window_start_ns, trace.part, "" if trace.window_start_ns else trace.trace_id)
        if key not in best or trace.revision > best[key].revision:
            best[key] = trace
    return [best[key] for key in sorted(best)]


def offered(index: int, trace: PreprocessedTrace, query: str) -> list[Offer]:
    """The segments of one trace, noise left out unless it is asked for, with what each is worth to this reader."""
    asked = relevance([s.text for s in trace.segments], query)
    found = []
    for segment, share in zip(trace.segments, asked.tolist(), strict=True):
        if segment.label == "noise" and share < 0.5:
            continue
        value = segment.score + ASKED * share
        found.append(Offer(index, segment, value, segment.tokens + 1))
    return found


def choose(offers: list[Offer], traces: Sequence[PreprocessedTrace], room: int) -> list[Offer]:
    """The best offers that fit. What was said three times already, in any trace, waits until the rest had its turn."""
    chosen: list[Offer] = []
    said: dict[str, int] = defaultdict(int)
    texts: set[str] = set()
    limit = room * NUMBERS_SHARE if any(o.segment.kind not in NUMBERS for o in offers) else room
    spent = 0.0
    waiting: list[Offer] = []
    for offer in offers:
        segment = offer.segment
        if segment.text in texts:
            continue
        if segment.template and said[segment.template] >= 3 and segment.score < COPY:
            waiting.append(offer)
            continue
        marker = 0 if segment.kind in NUMBERS else render.marker_tokens(traces[offer.trace].lines_before)
        cost = offer.tokens + marker
        if segment.kind in NUMBERS:
            if spent + cost > limit:
                continue
            spent += cost
        if cost <= room:
            chosen.append(offer)
            room -= cost
            said[segment.template] += 1
            texts.add(segment.text)
    for offer in waiting:
        cost = offer.tokens + render.marker_tokens(traces[offer.trace].lines_before)
        if cost <= room and offer.segment.text not in texts:
            chosen.append(offer)
            room -= cost
            texts.add(offer.segment.text)
    return chosen


def header(traces: Sequence[PreprocessedTrace], budget: int, holes: Sequence[str]) -> list[str]:
    """What is known of the job, in lines, the weightiest first; at most HEADER_SHARE of the budget."""
    if not traces:
        return ["no trace of this job is stored"]
    jobs = [trace.job for trace in traces]
    lines = []
    ended = next((job for job in reversed(jobs) if job.outcome), None)
    name = next((trace.job_id for trace in traces if trace.job_id), "")
    what = f"job {name}" if name else "log"
    if ended is not None:
        what += f" {ended.outcome}"
        if ended.HasField("exit_code"):
            what += f", exit code {ended.exit_code}"
        if ended.reason:
            what += f": {render.clean(ended.reason)[:200]}"
    lines.append(what)
    details = []
    world = max((job.world_size for job in jobs), default=0)
    if world:
        details.append(f"{world} ranks")
    accelerator = next((job.accelerator for job in jobs if job.accelerator), "")
    if accelerator:
        details.append(accelerator)
    model = next((job.model for job in jobs if job.model), "")
    if model:
        details.append(model)
    times = [t for job in jobs for t in (job.first_time_ns, job.last_time_ns) if t]
    if times:
        details.append(f"{moment(min(times))} to {moment(max(times))}")
    details.append(
        f"{sum(trace.lines_before for trace in traces)} lines, {sum(trace.tokens_before for trace in traces)} tokens"
    )
    lines.append("; ".join(details))
    lines += [f"missing: {hole}" for hole in holes[:5]]
    if len(holes) > 5:
        lines.append(f"missing: {len(holes) - 5} more holes")
    if len(traces) > 1:
        lines.append("…W A-B: lines A to B of window W left out")
    elif budget >= EXPLAINED_FROM:
        lines.append(render.HEADER)
    kept: list[str] = []
    for line in lines:
        if tokens.count("\n".join([*kept, line])) > max(12, budget * HEADER_SHARE) and kept:
            break
        kept.append(line)
    return kept


def compose(head: list[str], chosen: list[Offer], traces: Sequence[PreprocessedTrace]) -> str:
    """Header, numbers, then the lines of each window in time order with a mark for each gap."""
    out = list(head)
    by_trace: dict[int, list[Segment]] = defaultdict(list)
    for offer in chosen:
        by_trace[offer.trace].append(offer.segment)
    for index, trace in enumerate(traces):
        segments = sorted(by_trace.get(index, []), key=lambda s: (s.first, s.last, s.text))
        several = len(traces) > 1
        window = f"{moment(trace.window_start_ns)}" if trace.window_start_ns else str(index + 1)
        if several and segments:
            out.append(f"== window {window}{f' part {trace.part}' if trace.part else ''}")
        out += [s.text for s in segments if s.kind in NUMBERS]
        pieces = [
            (s.first, s.last, render.repeated(s.text, s.count, s.ranks)) for s in segments if s.kind not in NUMBERS
        ]
        if pieces:
            out.append(render.render(pieces, trace.lines_before))
        elif several and not segments and trace.lines_before:
            out.append(f"…{window} 1-{trace.lines_before}")
    return "\n".join(out)


def moment(time_ns: int) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(time_ns / 1e9, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

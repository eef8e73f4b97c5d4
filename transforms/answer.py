"""One answer over all the traces of a job, from the segments that were stored; the archive is not read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.transforms import render, tokens
from tracewinnow.transforms.clues import weighed
from tracewinnow.transforms.offers import NUMBERS, Offer, told
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.stored import Stored, stored

HEADER_SHARE = 0.35  # of the budget, for what is said about the job
ROUNDS = 6  # tries to use what the estimate of the marks left over
NAME = 40  # characters, and tokens, of a job's id; a job is found by the beginning of its id
TITLE = 6  # tokens that the first line has at the least
SAID = 100  # tokens from which an answer tells of a hole and marks its gaps, whatever else has no room


@dataclass(frozen=True, slots=True)
class Answer:
    """text: what to send, at most `budget` tokens. chosen: (trace_id, segment) in the order of the text."""

    text: str
    tokens: int
    tokens_before: int  # of all the traces together
    chosen: tuple[tuple[str, Segment], ...]


def answer(
    traces: Sequence[PreprocessedTrace], budget: int, query: str | None = None, holes: Sequence[str] = ()
) -> Answer:
    """Choose over the stored segments of all the traces of one job, and print them in time order under a token budget.

    traces: in any order; of one window and part the highest revision counts. holes: a sentence for each hole in a process's
    sequence; they stand in the header. Does no I/O. Raises BadUse for a budget below 1.
    """
    Options(budget)
    traces = latest(traces)
    found, suspect = weighed(traces, query or "")
    head = header(traces, budget, holes, suspect)
    numbers = [offer for offer in found if offer.segment.kind in NUMBERS]
    lines = stored([offer for offer in found if offer.segment.kind not in NUMBERS], traces)
    sure = 1 + bool(holes)
    chosen, text = fill(head, sure, numbers, lines, traces, budget)
    if not text and holes and budget >= SAID:  # the marks of gaps do not fit beside them
        short = [clipped(head[0], budget - tokens.count("\n" + head[1])), head[1]]
        text = "\n".join(short) if tokens.count("\n".join(short)) <= budget else ""
    if not text:
        best = max(found, key=lambda o: (o.value, -o.trace, -o.segment.first), default=None)
        text = tokens.head(best.segment.text.rsplit("\n", 1)[-1] if best else head[0], budget)
    chosen.sort(key=lambda o: (o.trace, o.segment.first))
    return Answer(
        text,
        tokens.count(text),
        sum(trace.tokens_before for trace in traces),
        tuple((traces[o.trace].trace_id, o.segment) for o in chosen),
    )


def fill(
    head: list[str], sure: int, numbers: list[Offer], lines: Stored, traces: Sequence[PreprocessedTrace], budget: int
) -> tuple[list[Offer], str]:
    """The choice that fills the budget best, and its text; "" where nothing fits beside a header at its shortest.

    What the marks of gaps cost is known when the text is there: the room is corrected by it, in a few rounds.
    """
    head = fitted(head, sure, traces, budget)
    low, room, high = 0, budget - tokens.count(compose(head, [], traces)), 2 * budget
    best: tuple[int, list[Offer], str] = (0, [], "")
    chosen: list[Offer] = []
    for _ in range(ROUNDS):
        if room <= low or room >= high:
            break
        chosen = told(numbers, room, bool(lines.offers))
        chosen += lines.choose(room - sum(offer.tokens for offer in chosen))
        text = compose(head, chosen, traces)
        size = tokens.count(text)
        if size > budget:
            high, room = room, (low + room) // 2
            continue
        if best[0] < size and chosen:
            best = size, chosen, text
        low, room = room, min(room + budget - size, (room + high) // 2)
    if best[2]:
        return best[1], best[2]
    while True:
        text = compose(head, chosen, traces)
        if tokens.count(text) <= budget:
            return chosen, text
        if not chosen:
            return [], ""
        # context before evidence
        chosen.remove(min(chosen, key=lambda o: (o.segment.label == "actionable", o.value, -o.trace, -o.segment.first)))


def fitted(head: list[str], sure: int, traces: Sequence[PreprocessedTrace], budget: int) -> list[str]:
    """The header, so short that it fits beside the marks of all the gaps, or at its shortest.

    What stands behind the first `sure` lines goes first, then the end of the first line, which is the reason. A hole is never
    taken out: a reader without it takes the rest for everything.
    """
    head = list(head)
    while (over := tokens.count(compose(head, [], traces)) - budget) > 0:
        room = tokens.count(head[0]) - over
        if len(head) > sure:
            head.pop()
        elif budget >= SAID and tokens.count(head[0]) > TITLE:
            head[0] = clipped(head[0], max(room, TITLE))
        else:
            break
    return head


def clipped(text: str, room: int) -> str:
    """A text of at most `room` tokens, or of one where that is none; a sign says that its end is missing."""
    if tokens.count(text) <= room:
        return text
    kept = tokens.head(text, room - 1)
    while kept and tokens.count(f"{kept}…") > room:
        kept = kept[:-1]
    return f"{kept}…"


def latest(traces: Sequence[PreprocessedTrace]) -> list[PreprocessedTrace]:
    """In time order, of each window and part the highest revision."""
    best: dict[tuple[int, int, str], PreprocessedTrace] = {}
    for trace in traces:
        key = (trace.window_start_ns, trace.part, "" if trace.window_start_ns else trace.trace_id)
        if key not in best or trace.revision > best[key].revision:
            best[key] = trace
    return [best[key] for key in sorted(best)]


def header(traces: Sequence[PreprocessedTrace], budget: int, holes: Sequence[str], suspect: int = -1) -> list[str]:
    """What is known of the job, in lines, the weightiest first; at most HEADER_SHARE of the budget, the first and holes aside."""
    missing = f"missing: {f'{len(holes)} holes, first ' if len(holes) > 1 else ''}{holes[0]}" if holes else ""
    first_hole = [clipped(missing, budget // 2)] if holes else []
    if not traces:
        return ["no trace of this job is stored", *first_hole]
    jobs = [trace.job for trace in traces]
    lines = []
    # As in the list of jobs: a crash counts more than a stop, and the earliest crash is the cause of the others.
    ended = min(
        (job for job in jobs if job.outcome),
        key=lambda job: (job.outcome, job.outcome == "stopped" and not job.exit_code),
        default=None,
    )
    name = next((trace.job_id for trace in traces if trace.job_id), "")
    what = f"job {clipped(name if len(name) <= NAME else name[: NAME - 1] + '…', NAME)}" if name else "log"
    if ended is not None:
        what += f" {ended.outcome}"
        if ended.HasField("exit_code"):
            what += f", exit code {ended.exit_code}"
        if ended.reason and not (ended.HasField("exit_code") and ended.reason == f"exit code {ended.exit_code}"):
            what += f": {render.clean(ended.reason)[: 200 if budget >= render.EXPLAINED_FROM else 80]}"
    lines.append(what)
    lines += first_hole
    if ended is not None and (again := max(job.started_ns for job in jobs)) > max(job.ended_ns for job in jobs):
        lines.append(f"it started again at {moment(again)}")
    if suspect >= 0:
        lines.append(f"rank {suspect} is named by other ranks and names none itself: look at it first")
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
    lines += [f"missing: {hole}" for hole in holes[1:5]]
    if len(traces) > 1:
        lines.append("…W A-B: lines A to B of window W left out")
    elif budget >= render.EXPLAINED_FROM:
        lines.append(render.HEADER)
    kept: list[str] = []
    for line in lines:
        if tokens.count("\n".join([*kept, line])) > max(12, budget * HEADER_SHARE) and len(kept) > bool(holes):
            break
        kept.append(line)
    return kept


def compose(head: list[str], chosen: list[Offer], traces: Sequence[PreprocessedTrace]) -> str:
    """Header, then for each window its numbers and its lines in time order, with a mark for each gap; windows without share one."""
    out = list(head)
    by_trace: dict[int, list[Segment]] = defaultdict(list)
    for offer in chosen:
        by_trace[offer.trace].append(offer.segment)
    several = len(traces) > 1
    silent: list[int] = []
    for index, trace in enumerate(traces):
        segments = sorted(by_trace.get(index, []), key=lambda s: (s.first, s.last, s.text))
        if several and not segments:
            silent += [index] if trace.lines_before else []
            continue
        out += left_out(silent, traces)
        silent = []
        if several:
            out.append(f"== window {window(index, trace)}")
        numbers = [s for s in segments if s.kind in NUMBERS]
        out += [s.text for s in sorted(numbers, key=lambda s: (-s.score, s.text))]
        pieces = [
            (s.first, s.last, render.repeated(s.text, s.count, s.ranks)) for s in segments if s.kind not in NUMBERS
        ]
        if pieces:
            out.append(render.render(pieces, trace.lines_before))
        elif trace.lines_before:
            out.append(render.gap(1, trace.lines_before))
    return "\n".join(out + left_out(silent, traces))


def left_out(windows: list[int], traces: Sequence[PreprocessedTrace]) -> list[str]:
    """The line that stands for windows of which nothing is shown."""
    if not windows:
        return []
    first, last = (window(index, traces[index]) for index in (windows[0], windows[-1]))
    lines = sum(traces[index].lines_before for index in windows)
    if len(windows) == 1:
        return [f"…{first} 1-{lines}"]
    count = len({traces[index].window_start_ns or index for index in windows})
    parts = f" in {len(windows)} parts" if count < len(windows) else ""
    last = last.removeprefix(f"{first} ") if count == 1 else last.removeprefix(first.partition("T")[0] + "T")
    return [f"…{first} to {last}: {lines} lines of {'1 window' if count == 1 else f'{count} windows'}{parts}"]


def window(index: int, trace: PreprocessedTrace) -> str:
    """How an answer names a window, and `lines` understands it."""
    start = trace.window_start_ns
    name = (str(start) if start % 10**9 else moment(start)) if start else str(index + 1)
    return f"{name} part {trace.part}" if trace.part else name


def moment(time_ns: int) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(time_ns / 1e9, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

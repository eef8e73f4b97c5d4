"""Batches of one window -> the canonical raw trace. Pure: the same batches in any order give the same trace."""

from __future__ import annotations

import itertools
import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tracewinnow.schemas.telemetry_pb2 import (
    ACCELERATOR_UNSPECIFIED,
    Accelerator,
    Event,
    JobCrash,
    JobStart,
    JobStop,
    TelemetryBatch,
)
from tracewinnow.schemas.trace_pb2 import JobState, ProcessRange
from tracewinnow.transforms.collect import Collector, series_of, spans_of, sparse_of
from tracewinnow.transforms.events import Logs, logs
from tracewinnow.transforms.trace import Trace

KILL_TOLD_WITHIN_NS = 5_000_000_000
SIGNALS = 64  # of Linux; a sender may say any number
BACKFILL = "tracewinnow-backfill/"  # sender of what comes from files
NUMBER = re.compile(r"\d+")
UNKNOWN = "of a kind that this version does not know (upgrade, then `tracewinnow rebuild` builds them in)"


def _start_lines(start: JobStart, batch: TelemetryBatch) -> Iterator[str]:
    rank = f": rank {batch.rank}" if batch.HasField("rank") else ""
    where = f" on {batch.host}" if batch.host else ""
    yield f"job start{rank}{where}: {' '.join(start.argv)}".rstrip(": ")
    if start.versions:
        yield "versions: " + " ".join(f"{k} {v}" for k, v in sorted(start.versions.items()))
    if start.config:
        yield "config: " + " ".join(f"{k}={v}" for k, v in sorted(start.config.items()))


def _stop_line(stop: JobStop) -> str:
    return f"job stop: exit code {stop.exit_code}" + (f": {stop.reason}" if stop.reason else "")


def crash_line(crash: JobCrash, ranks: Sequence[int]) -> str:
    """The one line that crash events with the same text become. ranks: of the processes, ascending; -1 where unknown."""
    parts = ["job crash"]
    known = [rank for rank in ranks if rank >= 0]
    if known:
        parts.append(("rank " if len(known) == 1 else "ranks ") + _span(known))
    if crash.HasField("signal"):
        parts.append(f"signal {crash.signal}")
    elif crash.HasField("exit_code") and not crash.exception_type:
        parts.append(f"exit code {crash.exit_code}")
    what = _reason(crash)
    return ": ".join([*parts, what] if what and what not in parts else parts).replace("\n", " ")


def _reason(crash: JobCrash) -> str:
    return ": ".join(part for part in (crash.exception_type, crash.message) if part)


def _span(numbers: Sequence[int]) -> str:
    """1, 2, 3, 7 -> "1-3,7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _ranges(batches: Sequence[TelemetryBatch]) -> Iterator[ProcessRange]:
    """Runs of consecutive sequences; batches are ordered by (process_uuid, sequence)."""
    for process, group in itertools.groupby(batches, key=lambda b: b.process_uuid):
        current: ProcessRange | None = None
        for batch in group:
            if current is not None and batch.sequence == current.last + 1:
                current.last = batch.sequence
                continue
            if current is not None:
                yield current
            current = ProcessRange(process_uuid=process, first=batch.sequence, last=batch.sequence)
            if batch.HasField("rank"):
                current.rank = batch.rank
        if current is not None:
            yield current


class _Lines:
    """Collects text lines with what is known of each."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.times: list[int] = []
        self.ranks: list[int] = []
        self.levels: list[int] = []
        self.events: list[str] = []

    def extend(self, logs: Logs) -> int:
        """Log events of one line each; -> bytes of their text."""
        self.text += logs.texts
        self.times += logs.times
        self.ranks += logs.ranks
        self.levels += logs.levels
        self.events += [""] * len(logs.texts)
        return logs.size

    def add_logs(self, events: Sequence[Event], batch_rank: int) -> int:
        """Log events that follow each other; -> bytes of their text."""
        logs = [event.log for event in events]
        raw = [log.text for log in logs]
        times = [event.time_ns for event in events]
        ranks = [log.rank if log.HasField("rank") else batch_rank for log in logs]
        levels = [log.level for log in logs]
        texts = [text.decode("utf-8", "surrogateescape") for text in raw]
        if any(b"\n" in text for text in raw):
            for text, time_ns, rank, level in zip(texts, times, ranks, levels, strict=True):
                self.add(text, time_ns, rank, level, "")
        else:
            self.extend(Logs(texts, times, ranks, levels, 0))
        return sum(map(len, raw))

    def add(self, text: str, time_ns: int, rank: int, level: int, event: str) -> None:
        for line in text.split("\n") if "\n" in text else (text,):
            self.text.append(line)
            self.times.append(time_ns)
            self.ranks.append(rank)
            self.levels.append(level)
            self.events.append(event)

    def sort(self) -> None:
        """By time; lines of one moment stay in order."""
        times = np.array(self.times, np.int64)
        if not (np.diff(times) < 0).any():
            return
        order = np.argsort(times, kind="stable").tolist()
        for name in ("text", "times", "ranks", "levels", "events"):
            values = getattr(self, name)
            setattr(self, name, [values[i] for i in order])


def assemble(
    batches: Iterable[TelemetryBatch | bytes],
    *,
    window_start_ns: int = 0,
    window_end_ns: int = 0,
    part: int = 0,
    revision: int = 0,
) -> Trace:
    """Put the events of one job in order: by (time_ns, rank, process_uuid, sequence, place in the batch).

    batches: distinct by (process_uuid, sequence), parsed or as they were sent. A log event of several lines becomes several lines;
    start, stop and crash become lines that name them; numeric events become series and summaries; events of no kind
    that we know are counted among what these leave out. Raises ValueError for a vector of a dtype outside the contract (validation
    refuses those before), DecodeError for bytes that are no batch.
    """
    sent = sorted(map(_parsed, batches), key=lambda s: (_rank(s[0]), s[0].process_uuid, s[0].sequence))
    ordered = [batch for batch, _ in sent]
    lines, numbers, job = _Lines(), Collector(), JobState()
    crashes: list[_Crash] = []
    codes: dict[str, int] = {}  # with which the processes stopped, by uuid
    size = unknown = 0
    for batch, data in sent:
        batch_rank = _rank(batch)
        _describe(job, batch)
        found = logs(data, batch_rank) if data else None
        if found is not None:
            size += lines.extend(found)
            continue
        kinds = [event.WhichOneof("kind") for event in batch.events]
        if kinds.count("log") == len(kinds):  # as nearly all batches are
            size += lines.add_logs(batch.events, batch_rank)
            continue
        for event, kind in zip(batch.events, kinds, strict=True):
            if kind == "log":
                size += lines.add_logs([event], batch_rank)
            elif kind == "start":
                job.started_ns = min(job.started_ns or event.time_ns, event.time_ns)
                for line in _start_lines(event.start, batch):
                    lines.add(line.replace("\n", " "), event.time_ns, batch_rank, 0, "start")
            elif kind == "stop":
                job.ended_ns = max(job.ended_ns, event.time_ns)
                job.outcome = "stopped"
                codes[batch.process_uuid] = event.stop.exit_code
                lines.add(_stop_line(event.stop).replace("\n", " "), event.time_ns, batch_rank, 0, "stop")
            elif kind == "crash":
                crashes.append(_Crash(event.time_ns, batch_rank, event.crash))
            elif kind is not None:
                size += event.ByteSize()
                numbers.add(event, kind, batch_rank)
            else:
                size += event.ByteSize()
                unknown += 1
    # While one goes on, or ended in another window, nobody knows yet how the job ends.
    if len(codes) >= max(1, job.world_size) and codes.keys() == {batch.process_uuid for batch in ordered}:
        job.exit_code = next((code for code in codes.values() if code), 0)
    _add_crashes(crashes, lines, job)
    numeric = numbers.numeric()
    if unknown:
        numeric.left_out[UNKNOWN] = unknown
    if not job.outcome and ordered and all(batch.sender.startswith(BACKFILL) for batch in ordered):
        job.outcome, job.ended_ns = "imported", max(lines.times, default=0)  # a file does not say how its job ended
    lines.sort()
    if lines.times:
        job.first_time_ns, job.last_time_ns = lines.times[0], lines.times[-1]
    accelerators = {b.accelerator for b in ordered} - {ACCELERATOR_UNSPECIFIED}
    accelerator = Accelerator.Name(min(accelerators)).removeprefix("ACCELERATOR_").lower() if accelerators else ""
    job.accelerator = accelerator
    return Trace(
        lines=lines.text,
        times_ns=lines.times,
        ranks=lines.ranks,
        levels=lines.levels,
        events=lines.events,
        series=series_of(numeric.rows),
        spans=spans_of(numeric.spans),
        sparse=sparse_of(numeric.tensors),
        numeric=numeric,
        numeric_events=numbers.count,
        job_id=ordered[0].job_id if ordered else "",
        window_start_ns=window_start_ns,
        window_end_ns=window_end_ns,
        part=part,
        revision=revision,
        accelerator=accelerator,
        bytes_before=size,
        processes=list(_ranges(sorted(ordered, key=lambda b: (b.process_uuid, b.sequence)))),
        job=job,
    )


def _parsed(batch: TelemetryBatch | bytes) -> tuple[TelemetryBatch, bytes]:
    return (TelemetryBatch.FromString(batch), batch) if isinstance(batch, bytes) else (batch, b"")


def _rank(batch: TelemetryBatch) -> int:
    return batch.rank if batch.HasField("rank") else -1


def _describe(job: JobState, batch: TelemetryBatch) -> None:
    # The least of what the processes say, so that the order in which they are read does not matter.
    if batch.model and (not job.model or batch.model < job.model):
        job.model = batch.model
    if batch.user and (not job.user or batch.user < job.user):
        job.user = batch.user
    if batch.HasField("world_size"):
        job.world_size = max(job.world_size, batch.world_size)


def telling(traceback: str) -> set[str]:
    """Lines of a traceback that tell where it went wrong, and its last one: where all of them were printed, it was."""
    lines = [line.strip() for line in traceback.split("\n")]
    return {lines[-1], *(line for line in lines if line.startswith('File "'))}


class _Crash(NamedTuple):
    time_ns: int
    rank: int
    event: JobCrash


def first_failure(crashes: Sequence[_Crash]) -> _Crash:
    """The crash that the others followed; crashes are in order of time.

    The earliest, but for a process that was killed: its death is told by another one, a moment after its neighbours have met
    with a closed connection. That holds only where one alone was killed: many are the work of a launcher that cleans up.
    """
    near = [c for c in crashes if c.time_ns - crashes[0].time_ns < KILL_TOLD_WITHIN_NS]
    killed = [c for c in near if c.rank >= 0 and c.event.HasField("signal") and c.event.signal != signal.SIGTERM]
    return killed[0] if len(killed) == 1 else crashes[0]


def _add_crashes(crashes: list[_Crash], lines: _Lines, job: JobState) -> None:
    """Crash lines, and a traceback where the job's own output does not hold it.

    Processes that say the same share a line. What only repeats an earlier crash with other numbers, or has no more to say than an
    exit code when another knew a reason, is a line like any other.
    """
    if not crashes:
        return
    printed = {text.strip() for text in lines.text}
    crashes.sort(key=lambda c: (c.time_ns, c.rank))
    first = first_failure(crashes)
    job.outcome = "crashed"
    job.ended_ns = max(job.ended_ns, crashes[-1].time_ns)
    job.reason = _reason(first.event)
    job.ClearField("exit_code")
    if first.event.HasField("exit_code"):
        job.exit_code = first.event.exit_code
    elif 0 < first.event.signal <= SIGNALS:
        job.exit_code = 128 + first.event.signal
    alike: dict[str, list[_Crash]] = {}
    for crash in crashes:
        alike.setdefault(crash_line(crash.event, ()), []).append(crash)
    explained = any(c.event.exception_type or c.event.HasField("signal") for c in crashes)
    seen: set[str] = set()
    for text, group in sorted(alike.items(), key=lambda item: item[1][0] is not first):
        template = NUMBER.sub("#", text)
        bare = explained and not group[0].event.exception_type and not group[0].event.HasField("signal")
        event = "" if bare or template in seen else "crash"
        seen.add(template)
        for crash in group:
            traceback = crash.event.traceback.rstrip("\n")
            if traceback and not printed.issuperset(telling(traceback)):
                lines.add(traceback, crash.time_ns, crash.rank, 0, "")
        ranks = sorted({crash.rank for crash in group})
        lines.add(crash_line(group[0].event, ranks), group[0].time_ns, group[0].rank, 0, event)

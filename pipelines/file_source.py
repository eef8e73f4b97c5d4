"""A task -> records of batches, cut so that the same file always gives the same batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from tracewinnow.pipelines import files, rows
from tracewinnow.pipelines.decode import DAMAGED
from tracewinnow.pipelines.files import Task
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import Record, window_start
from tracewinnow.schemas.errors import BadInput
from tracewinnow.schemas.telemetry_pb2 import STREAM_FILE, Event, TelemetryBatch
from tracewinnow.transforms.assemble import BACKFILL
from tracewinnow.version import VERSION

BATCH_BYTES = 256 << 10
BATCH_EVENTS = 2000
PIECE_BYTES = 128 << 10  # a longer line comes as several
SENDER = BACKFILL + VERSION
DAMAGED_FILES = "damaged_files"  # set of sentences among the metrics, one a file of which something could not be read


class Cutter:
    """Collects events of one task into batches; one for each job that the task speaks of."""

    def __init__(self, task: Task, window_ns: int) -> None:
        self.task = task
        self.window_ns = window_ns
        self.open: dict[str, tuple[TelemetryBatch, int]] = {}
        self.sequences: dict[str, int] = {}

    def add(self, job_id: str, event: Event, size: int) -> Iterator[Record]:
        """Add an event whose time_ns is set; yields the batch that it closed."""
        batch, held = self.open.get(job_id, (None, 0))
        if batch is not None and (
            held + size > BATCH_BYTES
            or len(batch.events) >= BATCH_EVENTS
            or window_start(event.time_ns, self.window_ns) != window_start(batch.created_ns, self.window_ns)
        ):
            yield self._close(job_id, batch)
            batch, held = None, 0
        if batch is None:
            task = self.task._replace(job_id=job_id)
            batch = TelemetryBatch(
                job_id=job_id, process_uuid=task.process_uuid, created_ns=event.time_ns, sender=SENDER
            )
            batch.sequence = self.sequences.get(job_id, 0)
        batch.events.append(event)
        self.open[job_id] = (batch, held + size)

    def finish(self) -> Iterator[Record]:
        """The batches that are still open."""
        for job_id, (batch, _) in sorted(self.open.items()):
            yield self._close(job_id, batch)

    def _close(self, job_id: str, batch: TelemetryBatch) -> Record:
        self.sequences[job_id] = batch.sequence + 1
        return record(self.task, batch.sequence, batch.SerializeToString(deterministic=True), batch.created_ns)


def record(task: Task, place: int, value: bytes, time_ns: int) -> Record:
    """What a file gives the graph; its path and `place` stand where topic and offset do. time_ns: Unix nanoseconds."""
    return Record(task.path, 0, place, time_ns // 1_000_000, value)


def read_task(task: Task, window_ns: int) -> Iterator[Record]:
    """The batches of a task, in order. Raises OSError, and BadInput for a damaged file (after what could be read)."""
    if task.kind == "outbox":
        yield from _outbox(task)
        return
    cutter = Cutter(task, window_ns)
    reader = {"plain": _plain, "json": _json, "parquet": _parquet}[task.kind]
    damaged: BadInput | None = None
    try:
        yield from reader(task, cutter)
    except BadInput as failed:
        damaged = failed
    yield from cutter.finish()
    if damaged is not None:
        raise damaged


def _outbox(task: Task) -> Iterator[Record]:
    from tracewinnow.logger import outbox

    place = -1
    for place, value in enumerate(outbox.read(Path(task.path))):
        yield record(task, place, value, task.base_ns)
    if place < 0:  # what lacks the end of its last record alone is still being written
        raise BadInput("damaged-file", f"{task.path} is an outbox without one whole record: nothing in it can be read")


def _plain(task: Task, cutter: Cutter) -> Iterator[Record]:
    for offset, line in files.lines(task, PIECE_BYTES):
        event = Event(time_ns=task.base_ns + offset)
        event.log.text = line
        event.log.stream = STREAM_FILE
        yield from cutter.add(task.job_id, event, len(line) + 16)


def _json(task: Task, cutter: Cutter) -> Iterator[Record]:
    last_ns = task.base_ns
    for offset, line in files.lines(task, BATCH_BYTES):
        row = rows.parse_line(line)
        whole = rows.batch_of(row) if row is not None else None
        if whole is not None:
            yield record(task, offset, whole.SerializeToString(deterministic=True), whole.created_ns)
            continue
        event, time_ns = rows.event_of(row or {}, line)
        # What has no time of its own stands right behind the row before it.
        event.time_ns = last_ns = time_ns if time_ns is not None else last_ns + 1
        yield from cutter.add(rows.job_of(row or {}) or task.job_id, event, len(line) + 32)


def _parquet(task: Task, cutter: Cutter) -> Iterator[Record]:
    last_ns = task.base_ns
    for row in _parquet_rows(task.path):
        raw = json.dumps(row, default=str, ensure_ascii=False).encode("utf-8", "surrogateescape")
        event, time_ns = rows.event_of(row, raw)
        event.time_ns = last_ns = time_ns if time_ns is not None else last_ns + 1
        yield from cutter.add(rows.job_of(row) or task.job_id, event, len(raw) + 32)


def _parquet_rows(path: str) -> Iterator[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        for table in file.iter_batches(batch_size=1000):
            yield from table.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as failed:
        if isinstance(failed, OSError) and failed.errno is not None:  # the disk's, not the file's
            raise
        raise BadInput("damaged-file", f"{path} cannot be read as Parquet: {failed}") from failed


class ReadFileFn(beam.DoFn):
    """Task -> list[Record]. A damaged file gives what could be read, and a record that the decoder will refuse with the reason."""

    def __init__(self, settings: Settings) -> None:
        self.window_ns = settings.window_ns
        self.damaged = Metrics.string_set("tracewinnow", DAMAGED_FILES)

    def process(self, task: Task) -> Iterator[Any]:
        held: list[Record] = []
        size = 0
        try:
            for found in read_task(Task(*task), self.window_ns):
                held.append(found)
                size += len(found.value)
                if size >= 4 << 20:
                    yield held
                    held, size = [], 0
        except BadInput as damaged:
            self.damaged.add(damaged.reason)
            note = ((DAMAGED, damaged.reason.encode()),)
            held.append(Record(task[0], 0, -1, task[5] // 1_000_000, b"", note))
        if held:
            yield held

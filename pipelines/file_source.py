"""A task -> records of batches, cut so that the same file always gives the same batches."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from tracewinnow.pipelines import rows
from tracewinnow.pipelines.decode import DAMAGED
from tracewinnow.pipelines.file_text import lines, lines_before
from tracewinnow.pipelines.files import Task, printable
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import Record, window_start
from tracewinnow.schemas import validate
from tracewinnow.schemas.errors import BadInput
from tracewinnow.schemas.telemetry_pb2 import STREAM_FILE, Event, TelemetryBatch
from tracewinnow.transforms.assemble import BACKFILL
from tracewinnow.version import VERSION

BATCH_BYTES = 256 << 10
BATCH_EVENTS = 2000
OPEN_BYTES = 32 << 20  # of all batches that are being filled: rows may name any number of jobs and ranks
PIECE_BYTES = 128 << 10  # a longer line comes as several
SENDER = BACKFILL + VERSION
Sender = tuple[str, int]  # job and rank, which is -1 where none is told
DAMAGED_FILES = "damaged_files"  # set of sentences among the metrics, one a file of which something could not be read
UNREAD_FILES = (
    "unread_files"  # set of printable paths among the metrics: of what could not be opened, and may be another time
)


class Cutter:
    """Collects events of one task into batches; one for each job that the task speaks of, and for each rank that counts."""

    def __init__(self, task: Task, window_ns: int) -> None:
        self.task = task
        self.window_ns = window_ns
        self.open: dict[Sender, tuple[TelemetryBatch, int]] = {}
        self.sequences: dict[Sender, int] = {}
        self.held = 0  # bytes of all that is open

    def add(self, job_id: str, event: Event, size: int, rank: int | None = None) -> Iterator[Record]:
        """Add an event whose time_ns is set; yields the batches that it closed. rank: of an event that cannot say it itself."""
        sender = (job_id, -1 if rank is None else rank)
        batch, held = self.open.get(sender, (None, 0))
        if batch is not None and (
            held + size > BATCH_BYTES
            or len(batch.events) >= BATCH_EVENTS
            or window_start(event.time_ns, self.window_ns) != window_start(batch.created_ns, self.window_ns)
        ):
            yield self._close(sender)
            batch, held = None, 0
        if batch is None:
            if self.held + size > OPEN_BYTES:
                yield from self.finish()
            uuid = self.task.process_uuid(job_id, rank)
            batch = TelemetryBatch(job_id=job_id, process_uuid=uuid, created_ns=event.time_ns, sender=SENDER)
            batch.sequence = self.sequences.get(sender, 0)
            if rank is not None:
                batch.rank = rank
        batch.events.append(event)
        self.open[sender] = (batch, held + size)
        self.held += size

    def finish(self) -> Iterator[Record]:
        """The batches that are still open."""
        for sender in sorted(self.open):
            yield self._close(sender)

    def _close(self, sender: Sender) -> Record:
        batch, size = self.open.pop(sender)
        self.held -= size
        self.sequences[sender] = batch.sequence + 1
        return record(self.task, batch.sequence, batch.SerializeToString(deterministic=True), batch.created_ns)


def record(task: Task, place: int, value: bytes, time_ns: int) -> Record:
    """What a file gives the graph; its path and `place` stand where topic and offset do. time_ns: Unix nanoseconds."""
    return Record(printable(task.path), 0, place, time_ns // 1_000_000, value)


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


def _lines(task: Task, piece: int) -> Iterator[tuple[int, bytes]]:
    return lines(task.path, piece, task.start, *((task.stop, task.end) if task.cut else ()))


def _plain(task: Task, cutter: Cutter) -> Iterator[Record]:
    for offset, line in _lines(task, PIECE_BYTES):
        event = Event(time_ns=task.base_ns + offset)
        event.log.text = line
        event.log.stream = STREAM_FILE
        yield from cutter.add(task.job_id, event, len(line) + 16)


def _json(task: Task, cutter: Cutter) -> Iterator[Record]:
    last_ns = task.base_ns
    for offset, line in _lines(task, BATCH_BYTES):
        row = rows.parse_line(line)
        whole = rows.batch_of(row) if row is not None else None
        if whole is not None:
            yield record(task, offset, whole.SerializeToString(deterministic=True), whole.created_ns)
            continue
        last_ns = yield from _row(task, cutter, row or {}, line, last_ns)


def _row(task: Task, cutter: Cutter, row: dict[str, Any], raw: bytes, last_ns: int) -> Generator[Record, None, int]:
    """Add a row; -> its time. What has no time of its own stands right behind the row before it, which had last_ns."""
    event, time_ns = rows.event_of(row, raw)
    event.time_ns = time_ns if time_ns is not None else last_ns + 1
    rank = rows.rank_of(row) if event.HasField("metrics") else None  # a log line says its rank itself
    yield from cutter.add(rows.job_of(row) or task.job_id, event, len(raw) + 32, rank)
    return event.time_ns


def last_time(path: str, end: int, base_ns: int) -> int:
    """The time of what stands before byte `end` of JSON lines, so that what follows it can go on there.

    base_ns: what the first row has when it has no time; no row is a byte long, so what is returned is never too early.
    """
    for count, line in enumerate(lines_before(path, end)):
        _, time_ns = rows.event_of(rows.parse_line(line) or {}, line)
        if time_ns is not None:
            return time_ns + count
    return base_ns + end


def _parquet(task: Task, cutter: Cutter) -> Iterator[Record]:
    last_ns = task.base_ns
    for row in _parquet_rows(task.path):
        raw = json.dumps(row, default=str, ensure_ascii=False).encode("utf-8", "surrogateescape")
        last_ns = yield from _row(task, cutter, row, raw, last_ns)


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
    """`carried` task -> list[Record].

    A damaged file gives what could be read, and a record that the decoder refuses with the reason; so does one that cannot be
    opened any more. Both are told among the metrics, and so is a file of which the decoder will refuse everything.
    """

    def __init__(self, settings: Settings) -> None:
        self.window_ns = settings.window_ns
        self.damaged = Metrics.string_set("tracewinnow", DAMAGED_FILES)
        self.unread = Metrics.string_set("tracewinnow", UNREAD_FILES)

    def process(self, carried_task: tuple[Any, ...]) -> Iterator[Any]:
        task = Task(os.fsdecode(carried_task[0]), *carried_task[1:])
        held: list[Record] = []
        size = 0
        refused: str | None = ""  # why nothing of the file has been taken yet; None: something has
        try:
            for found in read_task(task, self.window_ns):
                if refused is not None:
                    refused = refusal(found)
                held.append(found)
                size += len(found.value)
                if size >= 4 << 20:
                    yield held
                    held, size = [], 0
        except (BadInput, OSError) as failed:
            reason = printable(failed.reason if isinstance(failed, BadInput) else _unread(task, failed))
            self.damaged.add(reason)
            if isinstance(failed, OSError):
                self.unread.add(printable(task.path))
            note = ((DAMAGED, reason.encode()),)
            held.append(Record(printable(task.path), 0, -1, task.base_ns // 1_000_000, b"", note))
        if refused:
            self.damaged.add(
                f"{printable(task.path)}: all that is in it became dead letters, the first because {refused}"
            )
        if held:
            yield held


def carried(task: Task) -> tuple[Any, ...]:
    """A task as Beam carries it: a path is bytes, for it may be no UTF-8."""
    return (os.fsencode(task.path), *task[1:])


def refusal(found: Record) -> str | None:
    """Why the decoder will refuse a record; None where it takes it."""
    now_ns = time.time_ns()
    try:
        validate.check(validate.decode(found.value, {}), now_ns)
    except BadInput as bad:
        return bad.reason
    return None


def _unread(task: Task, failed: OSError) -> str:
    return f"{task.path} cannot be read: {failed.strerror or failed}; see to it, then run the same command again"

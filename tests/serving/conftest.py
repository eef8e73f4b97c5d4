"""A small warehouse on disk, written through the real stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracewinnow.schemas.tables import date_of, rows
from tracewinnow.schemas.telemetry_pb2 import ACCELERATOR_GPU, TelemetryBatch
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.archive import Archive, ArchivedBatch
from tracewinnow.stores.objects import open_objects
from tracewinnow.stores.tables import open_tables
from tracewinnow.stores.traces import trace_name, trace_object
from tracewinnow.transforms.assemble import assemble

SECOND = 1_000_000_000
START = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z
WINDOW = 60 * SECOND


def batch(job: str, rank: int, sequence: int, lines: list[str], window: int = 0, process: str = "") -> TelemetryBatch:
    """A batch of log lines, one a millisecond."""
    created = START + window * WINDOW + sequence * SECOND
    made = TelemetryBatch(
        job_id=job, process_uuid=process or f"{rank:032x}", sequence=sequence, created_ns=created, rank=rank, world_size=2,
        accelerator=ACCELERATOR_GPU, model="tiny", user="ada",
    )  # fmt: skip
    for number, line in enumerate(lines):
        made.events.add(time_ns=created + number * 1_000_000).log.text = line.encode()
    return made


class Writer:
    """Writes what the pipeline would: batches to the archive, traces whole and as rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = open_objects(str(folder))
        self.tables = open_tables(str(folder))

    def window(self, batches: list[TelemetryBatch], window: int = 0, revision: int | None = None) -> PreprocessedTrace:
        """Archive and write one window of a job."""
        start = START + window * WINDOW
        archived = [ArchivedBatch(b.process_uuid, b.sequence, b.created_ns, b.SerializeToString()) for b in batches]
        Archive(self.store).write(batches[0].job_id, start, archived)
        made = assemble(batches, window_start_ns=start, window_end_ns=start + WINDOW, revision=revision or len(batches))
        text = "\n".join(made.lines).encode("utf-8", "replace").decode()
        trace = PreprocessedTrace(
            trace_id=f"{made.job_id}/{start}/0", job_id=made.job_id, window_start_ns=start, window_end_ns=start + WINDOW,
            revision=made.revision, text=text, tokens_before=1000, tokens_after=100,
            lines_before=len(made.lines), processes=made.processes, job=made.job,
        )  # fmt: skip
        self.trace(trace)
        return trace

    def trace(self, trace: PreprocessedTrace) -> None:
        key = (trace.job_id, trace.window_start_ns, trace.revision, trace.part)
        self.store.put(trace_object(*key), trace.SerializeToString(deterministic=True))
        for table, of_table in rows(trace).items():
            self.tables.write(table, date_of(trace.window_start_ns), trace_name(*key), of_table)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "warehouse")

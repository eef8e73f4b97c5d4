"""Where results go: the whole trace as an object, its rows to the tables, and dead letters."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam
from apache_beam.metrics import Metrics

from tracewinnow.pipelines.dead_letters import DeadLetters
from tracewinnow.pipelines.letter_files import WRITE_TRACES, cut
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.writers import Writers
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.tables import Row, date_of, rows
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.bigquery_tables import RowsRefused
from tracewinnow.stores.objects import open_objects
from tracewinnow.stores.tables import open_tables
from tracewinnow.stores.traces import container_object, trace_name, trace_object
from tracewinnow.version import VERSION

INLINE_BYTES = 1 << 20  # of a container in a trace and its row; a row of BigQuery has at most 10 MB
REASON_CHARS = 64 << 10  # of what a job says that it died of, in its row; the trace has it whole
NOT_BUILT = ("stage-failed", "cannot-assemble", "row-refused")  # codes of letters about a trace that is not there whole


class WriteTraceFn(beam.DoFn):
    """PreprocessedTrace -> object and rows. Writing twice is writing once. Raises Transient when a store does not answer.

    A row that the tables refuse for itself becomes a dead letter; the trace stands in the warehouse, whole.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.traces = Metrics.counter("tracewinnow", "traces")
        self.kept = Metrics.counter("tracewinnow", "tokens_after")
        self.before = Metrics.counter("tracewinnow", "tokens_before")
        self.holes = Metrics.counter("tracewinnow", "sequence_holes")
        self.without_model = Metrics.counter("tracewinnow", "without_model")
        self.dead = Metrics.counter("tracewinnow", "dead_letters")
        self.failed = Metrics.counter("tracewinnow", "traces_failed")

    def setup(self) -> None:
        self.store = open_objects(self.settings.warehouse)
        self.tables = open_tables(self.settings.tables or self.settings.warehouse)
        self.letters = DeadLetters(self.settings)
        self.writers = Writers()

    def teardown(self) -> None:
        self.writers.close()

    def start_bundle(self) -> None:
        self.written: set[tuple[str, int, int]] = set()  # topic of its letters, part, start of the window
        self.refused: list[DeadLetter] = []

    def finish_bundle(self) -> None:
        self.writers.drain()
        if self.refused:
            self.refused.sort(key=lambda letter: (letter.topic, letter.partition, letter.reason))
            self.letters.write(self.refused)
            self.dead.inc(len(self.refused))
            self.failed.inc(len({(letter.topic, letter.partition) for letter in self.refused}))
        for topic, part, start_ns in self.written - {(one.topic, one.partition, one.time_ns) for one in self.refused}:
            self.writers.submit(self.letters.built, topic, part, start_ns)
        self.writers.drain()

    def process(self, trace: PreprocessedTrace) -> None:
        key = (trace.job_id, trace.window_start_ns, trace.revision, trace.part)
        for stage, seconds in trace.seconds.items():
            Metrics.distribution("tracewinnow", f"{stage}_us").update(int(seconds * 1e6))
        trace.seconds.clear()  # what is stored repeats to the byte
        if len(trace.container) > INLINE_BYTES:
            trace.container_uri = container_object(*key)
            self.store.put(trace.container_uri, trace.container)
            trace.ClearField("container")
        data = trace.SerializeToString(deterministic=True)
        self.writers.submit(self.store.put, trace_object(*key), data)
        letter = DeadLetter(
            topic=f"archive/{trace.job_id}/{trace.window_start_ns}",
            partition=trace.part,
            stage=WRITE_TRACES,
            code="row-refused",
            version=VERSION,
            time_ns=trace.window_start_ns,
        )
        for table, of_table in rows(trace).items():
            for row in of_table if table == "jobs" else ():
                row["reason"] = cut(row["reason"], REASON_CHARS) if row["reason"] else row["reason"]
            if of_table:
                self.writers.submit(self._write, table, trace_name(*key), of_table, letter)
        self.written.add((letter.topic, letter.partition, letter.time_ns))
        self.traces.inc()
        self.before.inc(trace.tokens_before)
        self.kept.inc(trace.tokens_after)
        self.without_model.inc(any(note.stage == "denoise" and note.what == "fallback" for note in trace.notes))
        self.holes.inc(len(trace.processes) - len({p.process_uuid for p in trace.processes}))

    def _write(self, table: str, name: str, of_table: Sequence[Row], letter: DeadLetter) -> None:
        """In a thread of the writers. letter: what is said of a row that is refused, but for why."""
        try:
            self.tables.write(table, date_of(letter.time_ns), name, of_table)
        except RowsRefused as refused:
            told = DeadLetter()
            told.CopyFrom(letter)
            told.reason = f"{refused}; the trace is in the warehouse. Mend the table, then `tracewinnow rebuild`"
            self.refused.append(told)


class WriteDeadLettersFn(beam.DoFn):
    """DeadLetter -> rows of `dead_letters`, when the bundle ends. Blocks on the store.

    One of ReadWindow without a code says that its window has none: those that it had, before its archive was mended, are taken out.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.failed = Metrics.counter("tracewinnow", "traces_failed")

    def setup(self) -> None:
        self.table = DeadLetters(self.settings)

    def start_bundle(self) -> None:
        self.letters: list[DeadLetter] = []

    def process(self, letter: DeadLetter) -> None:
        self.letters.append(letter)
        if letter.code in NOT_BUILT:
            self.failed.inc()

    def finish_bundle(self) -> None:
        self.table.write(self.letters)

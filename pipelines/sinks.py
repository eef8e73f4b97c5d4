"""Where results go: the whole trace as an object, its rows to the tables, and dead letters."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import apache_beam as beam
from apache_beam.metrics import Metrics

from tracewinnow.pipelines.build import READ_WINDOW
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.writers import Writers
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.tables import date_of, dead_letter_row, rows
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.objects import open_objects
from tracewinnow.stores.parquet_tables import ParquetTables
from tracewinnow.stores.tables import open_tables
from tracewinnow.stores.traces import container_object, trace_name, trace_object

INLINE_BYTES = 1 << 20  # of a container in a trace and its row; a row of BigQuery has at most 10 MB


class WriteTraceFn(beam.DoFn):
    """PreprocessedTrace -> object and rows. Writing twice is writing once. Raises Transient when a store does not answer."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.traces = Metrics.counter("tracewinnow", "traces")
        self.kept = Metrics.counter("tracewinnow", "tokens_after")
        self.before = Metrics.counter("tracewinnow", "tokens_before")
        self.holes = Metrics.counter("tracewinnow", "sequence_holes")
        self.without_model = Metrics.counter("tracewinnow", "without_model")

    def setup(self) -> None:
        self.store = open_objects(self.settings.warehouse)
        self.tables = open_tables(self.settings.tables or self.settings.warehouse)
        self.writers = Writers()

    def teardown(self) -> None:
        self.writers.close()

    def finish_bundle(self) -> None:
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
        date, name = date_of(trace.window_start_ns), trace_name(*key)
        self.writers.submit(self.store.put, trace_object(*key), data)
        for table, of_table in rows(trace).items():
            if of_table:
                self.writers.submit(self.tables.write, table, date, name, of_table)
        self.traces.inc()
        self.before.inc(trace.tokens_before)
        self.kept.inc(trace.tokens_after)
        self.without_model.inc(any(note.stage == "denoise" and note.what == "fallback" for note in trace.notes))
        self.holes.inc(len(trace.processes) - len({p.process_uuid for p in trace.processes}))


class WriteDeadLettersFn(beam.DoFn):
    """DeadLetter -> rows of `dead_letters`, one file a bundle and day, named by content. Blocks on the store.

    Those of a window stand in a file of its own: whenever it is built again they are all found again, and take each other's place.
    One of ReadWindow without a code says that its window has none: those that it had, before its archive was mended, are taken out.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def setup(self) -> None:
        self.tables = open_tables(self.settings.tables or self.settings.warehouse)

    def start_bundle(self) -> None:
        self.letters: list[DeadLetter] = []

    def process(self, letter: DeadLetter) -> None:
        self.letters.append(letter)

    def finish_bundle(self) -> None:
        groups: defaultdict[tuple[str, str], dict[bytes, DeadLetter]] = defaultdict(dict)
        for letter in self.letters:
            window = letter.topic if letter.stage == READ_WINDOW else ""
            of_window = groups[date_of(letter.time_ns), window]
            if letter.code or not window:
                of_window[letter.SerializeToString(deterministic=True)] = letter
        for (date, window), letters in groups.items():
            name = hashlib.sha256(window.encode() or b"".join(sorted(letters))).hexdigest()
            if letters or (isinstance(self.tables, ParquetTables) and self.tables.has("dead_letters", date, name)):
                self.tables.write(
                    "dead_letters", date, name, [dead_letter_row(letters[key]) for key in sorted(letters)]
                )

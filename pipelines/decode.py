"""Record -> accepted batch, or a dead letter with its bytes and the reason."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import Accepted, Record, window_start
from tracewinnow.schemas import validate
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.errors import BadInput
from tracewinnow.schemas.telemetry_pb2 import TelemetryBatch
from tracewinnow.transforms.events import Survey, survey
from tracewinnow.version import VERSION

DEAD = "dead"
LATEST_MS = ((1 << 63) - 1) // 1_000_000  # that fits into a letter; a producer may say any number
DAMAGED = "tracewinnow-damaged"  # header of an empty record: a file that could be read only so far
BAD_HEADERS = (
    "tracewinnow-bad-headers"  # header in the place of all others, where they could not be read; its value says why
)


def record_bytes(record: Record) -> int:
    """What a record takes, as it is held until its bundle ends."""
    return len(record.value) + sum(len(name) + len(data) for name, data in record.headers)


def dead_letter(record: Record, stage: str, bad: BadInput) -> DeadLetter:
    """The record as it came, where it was found, and why it was refused."""
    return DeadLetter(
        original=record.value,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        stage=stage,
        code=bad.code,
        reason=bad.reason,
        version=VERSION,
        time_ns=max(-LATEST_MS, min(record.timestamp_ms, LATEST_MS)) * 1_000_000,
        headers=dict(record.headers),
    )


def payload(record: Record, batch: TelemetryBatch) -> bytes:
    """The batch as its sender wrote it, so that a copy has the same bytes; no protobuf message starts with the 0 of a frame."""
    return batch.SerializeToString(deterministic=True) if record.value[:1] == b"\0" else record.value


def _plain(found: Survey, now_ns: int) -> bool:
    """Whether nothing can be wrong with the events."""
    return (
        0 < found.events <= validate.EVENTS
        and validate.in_time(found.earliest_ns, found.latest_ns, now_ns)
        and not found.holds("layers", "sparse")
    )


class DecodeFn(beam.DoFn):
    """list[Record] -> Accepted; DeadLetter to the output `dead`.

    The counter `bytes` is of all records: what is refused takes memory as well, and the local runner reads as much as that allows.
    """

    def __init__(self, settings: Settings) -> None:
        self.window_ns = settings.window_ns
        self.registry_url = settings.registry
        self.batches = Metrics.counter("tracewinnow", "batches")
        self.events = Metrics.counter("tracewinnow", "events")
        self.bytes = Metrics.counter("tracewinnow", "bytes")
        self.dead = Metrics.counter("tracewinnow", "dead_letters")

    def setup(self) -> None:
        self.registry = None
        if self.registry_url:
            from tracewinnow.schemas.registry import SchemaRegistry

            self.registry = SchemaRegistry(self.registry_url)

    def process(self, records: list[Record]) -> Iterator[Any]:
        now_ns = time.time_ns()
        for record in records:
            self.bytes.inc(record_bytes(record))
            try:
                headers = dict(record.headers)
                if BAD_HEADERS in headers:
                    raise BadInput("bad-headers", headers[BAD_HEADERS].decode("utf-8", "replace"))
                if not record.value and DAMAGED in headers:
                    raise BadInput("damaged-file", headers[DAMAGED].decode("utf-8", "replace"))
                batch = validate.decode(record.value, headers, self.registry)
                data = payload(record, batch)
                found = survey(batch, data)
                validate.check_head(batch, now_ns)
                if not _plain(found, now_ns):
                    validate.check_events(batch, now_ns)
            except BadInput as bad:
                self.dead.inc()
                yield beam.pvalue.TaggedOutput(DEAD, dead_letter(record, "Decode", bad))
                continue
            self.batches.inc()
            self.events.inc(found.events)
            yield Accepted(
                batch.job_id,
                window_start(batch.created_ns, self.window_ns),
                batch.process_uuid,
                batch.sequence,
                batch.created_ns,
                data,
                found.holds("stop", "crash"),
            )

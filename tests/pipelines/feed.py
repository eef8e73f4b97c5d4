"""A real broker in the test's process (librdkafka's own), and batches to send through it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, Producer, TopicPartition

from tracewinnow.schemas.telemetry_pb2 import ACCELERATOR_GPU, TelemetryBatch
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace

TOPIC = "telemetry.gpu.v1"
SCHEMA = [("schema", b"tracewinnow.v1.TelemetryBatch@1")]


@dataclass
class Broker:
    """An embedded broker; `send` waits until it has what was produced."""

    bootstrap: str
    producer: Producer
    sent: list[bytes] = field(default_factory=list)

    def send(self, *batches: TelemetryBatch, topic: str = TOPIC) -> None:
        for batch in batches:
            self.send_bytes(batch.SerializeToString(), batch.job_id, batch.created_ns // 1_000_000, topic=topic)
        assert self.producer.flush(10) == 0

    def send_bytes(self, value: bytes, key: str, timestamp_ms: int, topic: str = TOPIC) -> None:
        self.producer.produce(topic, key=key, value=value, timestamp=timestamp_ms, headers=SCHEMA)
        self.sent.append(value)


def embedded_broker() -> Iterator[Broker]:
    """Lives as long as the generator."""
    embedded = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    address = next(iter(embedded.list_topics(timeout=10).brokers.values()))
    bootstrap = f"{address.host}:{address.port}"
    # Silent: it outlives the broker by a moment, and what it then says would stand in the output of the next test.
    yield Broker(bootstrap, Producer({"bootstrap.servers": bootstrap, "linger.ms": 1, "log_level": 0}))
    del embedded


class Marked:
    """A consumer of partitions that end in a transaction's marker: its offset counts, and no record comes from there.

    hidden: offsets that compaction took away. The embedded broker writes no markers and compacts nothing.
    """

    def __init__(self, real: Any, hidden: tuple[int, ...] = ()) -> None:
        self.real = real
        self.hidden = hidden

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def get_watermark_offsets(self, of: TopicPartition, timeout: float) -> tuple[int, int]:
        low, high = self.real.get_watermark_offsets(of, timeout=timeout)
        return low, high + (high > low)

    def assign(self, partitions: list[TopicPartition]) -> None:
        for of in partitions:
            of.offset = min(of.offset, self.real.get_watermark_offsets(of, timeout=10)[1])
        self.real.assign(partitions)

    def consume(self, count: int, seconds: float) -> list[Any]:
        found = [message for message in self.real.consume(count, seconds) if message.offset() not in self.hidden]
        return [End(message) if message.error() is not None else message for message in found]


class End:
    """Of a partition, behind its marker."""

    def __init__(self, real: Any) -> None:
        assert real.error().code() == KafkaError._PARTITION_EOF, real.error()
        self.error = real.error
        self.at = real.offset()

    def offset(self) -> int:
        return int(self.at + (self.at > 0))


def batch(
    job: str,
    process: str,
    sequence: int,
    lines: list[str],
    *,
    created_ns: int | None = None,
    crash: str = "",
    rank: int = 0,
) -> TelemetryBatch:
    """A batch of log lines, one a microsecond, and perhaps a crash behind them."""
    start = created_ns or time.time_ns()
    made = TelemetryBatch(
        job_id=job, process_uuid=process, sequence=sequence, created_ns=start, accelerator=ACCELERATOR_GPU, rank=rank
    )
    for place, line in enumerate(lines):
        event = made.events.add(time_ns=start + place * 1000)
        event.log.text = line.encode("utf-8", "surrogateescape")
    if crash:
        event = made.events.add(time_ns=start + len(lines) * 1000)
        event.crash.exit_code = 1
        event.crash.exception_type = "RuntimeError"
        event.crash.message = crash
    return made


def new_process() -> str:
    return uuid.uuid4().hex


def stored(warehouse: Path) -> dict[tuple[str, int, int], bytes]:
    """The trace that counts for each (job, window, part): serialized, of the highest revision."""
    found: dict[tuple[str, int, int], tuple[int, bytes]] = {}
    for file in warehouse.glob("traces/*/*.binpb"):
        data = file.read_bytes()
        trace = PreprocessedTrace.FromString(data)
        key = (trace.job_id, trace.window_start_ns, trace.part)
        if key not in found or found[key][0] < trace.revision:
            found[key] = (trace.revision, data)
    return {key: data for key, (_, data) in found.items()}

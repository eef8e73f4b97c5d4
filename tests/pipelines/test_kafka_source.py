"""One partition as a runner reads it: by readers that live for one bundle."""

from __future__ import annotations

import time

import pytest

from tests.pipelines.feed import TOPIC, Broker, batch, new_process
from tracewinnow.pipelines import kafka_client, kafka_source
from tracewinnow.pipelines.kafka_source import KafkaReader, KafkaSource, Position


def ends(broker: Broker) -> list[int]:
    asked = kafka_client.consumer(broker.bootstrap)
    try:
        return [kafka_client.bounds(asked, TOPIC, partition)[1] for partition in range(4)]
    finally:
        asked.close()


def watermark_ms(reader: KafkaReader) -> int:
    return int(reader.get_watermark().micros // 1000)


def bundles(source: KafkaSource, partition: int, offset: int, until_ms: int, seconds: float = 20) -> tuple[int, int]:
    """Read by a new reader each 100 ms till the watermark is there, or time is over; -> where they came to, and it."""
    until, last = time.monotonic() + seconds, 0
    while last < until_ms and time.monotonic() < until:
        part = KafkaSource(source.bootstrap, topic=TOPIC, partition=partition, disorder_ms=source.disorder_ms)
        reader = part.create_reader(None, Position(part, offset))
        stop = time.monotonic() + 0.1
        while time.monotonic() < stop:
            reader.advance()
        last, offset = watermark_ms(reader), reader.offset
        reader.close()
    return offset, last


def test_an_idle_partition_does_not_hold_the_watermark(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that was never written to, nor one that was read to its end."""
    monkeypatch.setattr(kafka_source, "IDLE_SECONDS", 0.5)
    broker.send(*(batch("j", new_process(), 0, ["x"]) for _ in range(3)))
    used = [partition for partition, end in enumerate(ends(broker)) if end]
    empty = next(partition for partition in range(4) if partition not in used)
    source = KafkaSource(broker.bootstrap, disorder_ms=1000)
    for partition, first in ((used[0], 0), (empty, -2)):
        begun = int(time.time() * 1000)
        offset, reached = bundles(source, partition, first, begun)
        assert offset in (3, -2)
        assert begun <= reached <= int(time.time() * 1000) - 1000


def test_the_watermark_waits_for_what_is_there(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that comes back after a pause to a partition that went on."""
    monkeypatch.setattr(kafka_source, "IDLE_SECONDS", 0.5)
    process = new_process()
    broker.send(batch("j", process, 0, ["x"]))
    (partition,) = (partition for partition, end in enumerate(ends(broker)) if end)
    source = KafkaSource(broker.bootstrap, topic=TOPIC, partition=partition, disorder_ms=1000)
    offset, _ = bundles(source, partition, 0, 1)
    assert offset == 1
    time.sleep(0.6)
    broker.send(batch("j", process, 1, ["y"]))
    reader = source.create_reader(None, Position(source, offset))
    assert watermark_ms(reader) == 0
    reader.close()

"""One partition as a runner reads it: by readers that live for one bundle."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.pipelines.feed import TOPIC, Broker, Marked, batch, new_process
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
        assert offset in (3, -2, 0)  # the last where the end was told in time
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


def marked(monkeypatch: pytest.MonkeyPatch, hidden: tuple[int, ...] = ()) -> None:
    real = kafka_client.consumer

    def consumer(*args: Any, **options: Any) -> Marked:
        return Marked(real(*args, **options), hidden)

    monkeypatch.setattr(kafka_client, "consumer", consumer)


def test_a_marker_at_the_end_does_not_hold_the_watermark(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_source, "IDLE_SECONDS", 0.5)
    broker.send(batch("j", new_process(), 0, ["x"], created_ns=time.time_ns() - 600 * 10**9))
    marked(monkeypatch)
    (partition,) = (partition for partition, end in enumerate(ends(broker)) if end)
    begun = int(time.time() * 1000)
    offset, reached = bundles(KafkaSource(broker.bootstrap, disorder_ms=1000), partition, 0, begun, 10)
    assert offset == 2
    assert begun <= reached <= int(time.time() * 1000) - 1000


def test_a_range_ends_where_its_last_offsets_are_no_records(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what stands behind the range is left to the next one, which would read it a second time."""
    process = new_process()
    broker.send(*(batch("j", process, n, ["x"]) for n in range(4)))
    marked(monkeypatch, hidden=(1, 2))
    (partition,) = (partition for partition, end in enumerate(ends(broker)) if end)
    for start, stop, wanted in ((0, 2, [0]), (1, 3, []), (2, 5, [3]), (4, 5, [])):
        source = KafkaSource(broker.bootstrap, ranges=[[TOPIC, partition, start, stop]])
        (part,) = source.split(1)
        reader = part.create_reader(None, None)
        found, until = [], time.monotonic() + 10
        while reader.offset < stop and time.monotonic() < until:
            if reader.advance():
                found += [record.offset for record in reader.get_current()]
        assert (found, reader.offset) == (wanted, stop)
        reader.close()


@pytest.mark.parametrize("ahead_ms", [40 * 86_400_000, 2**62])
def test_a_clock_that_is_wrong_does_not_move_the_watermark(broker: Broker, ahead_ms: int) -> None:
    value, stamp = batch("j", new_process(), 0, ["x"]).SerializeToString(), int(time.time() * 1000) + ahead_ms
    broker.send_bytes(value, "j", stamp)
    assert broker.producer.flush(10) == 0
    (partition,) = (partition for partition, end in enumerate(ends(broker)) if end)
    reader = KafkaSource(broker.bootstrap, topic=TOPIC, partition=partition).create_reader(None, None)
    until = time.monotonic() + 10
    while not reader.advance():
        assert time.monotonic() < until
    (record,) = reader.get_current()
    assert record.timestamp_ms == stamp
    now_ms = time.time() * 1000
    assert now_ms - 60_000 <= reader.get_current_timestamp().micros / 1000 <= now_ms
    assert now_ms - 60_000 <= watermark_ms(reader) <= now_ms
    reader.close()


def test_partitions_that_were_added_are_said(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broker.send(batch("j", new_process(), 0, ["x"]))
    parts = KafkaSource(broker.bootstrap, [TOPIC]).split(1)
    assert [part.partition for part in parts] == [0, 1, 2, 3]

    def bundle(part: KafkaSource) -> None:
        reader = part.create_reader(None, Position(part, 0))
        reader.advance()
        reader.close()

    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if "partitions" in record.getMessage()]

    bundle(parts[0])
    assert said() == []
    real = kafka_client.partitions
    monkeypatch.setattr(
        kafka_client,
        "partitions",
        lambda bootstrap, topics, used=None: [*real(bootstrap, topics, used), (TOPIC, 4), (TOPIC, 5)],
    )
    bundle(parts[0])
    assert said() == []  # it looked just now
    kafka_source._looked.clear()
    for part in (*parts[1:], parts[0], parts[0]):
        bundle(part)
    (one,) = said()
    assert f"{TOPIC} has 6 partitions" in one
    assert "reads 4" in one
    # A source that an older version left in a savepoint does not know how many there were.
    del parts[0].known
    kafka_source._looked.clear()
    bundle(parts[0])
    assert len(said()) == 1

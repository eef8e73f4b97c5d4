"""One partition as a runner reads it: by readers that live for one bundle."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from tests.pipelines.feed import SCHEMA, TOPIC, Broker, Marked, batch, new_process
from tracewinnow.pipelines import kafka_client, kafka_reader
from tracewinnow.pipelines.decode import DecodeFn
from tracewinnow.pipelines.kafka_reader import KafkaReader
from tracewinnow.pipelines.kafka_source import KafkaSource, Position
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import Record
from tracewinnow.schemas.errors import Transient

DAY_MS = 86_400_000


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
    monkeypatch.setattr(kafka_reader, "IDLE_SECONDS", 0.5)
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
    monkeypatch.setattr(kafka_reader, "IDLE_SECONDS", 0.5)
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
    monkeypatch.setattr(kafka_reader, "IDLE_SECONDS", 0.5)
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
    kafka_reader._looked.clear()
    for part in (*parts[1:], parts[0], parts[0]):
        bundle(part)
    (one,) = said()
    assert f"{TOPIC} has 6 partitions" in one
    assert "reads 4" in one
    # A source that an older version left in a savepoint does not know how many there were.
    del parts[0].known
    kafka_reader._looked.clear()
    bundle(parts[0])
    assert len(said()) == 1


def send_old(broker: Broker, count: int, first_ms: int, *, partition: int = 1) -> None:
    """Records of one partition, a millisecond apart."""
    for place in range(count):
        broker.producer.produce(TOPIC, b"x", partition=partition, timestamp=first_ms + place, headers=SCHEMA)
    assert broker.producer.flush(10) == 0


@pytest.mark.parametrize("age_ms", [None, 2 * DAY_MS])
def test_a_clock_that_was_never_set_does_not_hold_the_watermark(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, age_ms: int | None
) -> None:
    """Alone on its partition, and sending without end: the partition is never idle, and tells nothing of how far the others are."""
    monkeypatch.setattr(kafka_reader, "IDLE_SECONDS", 0.5)
    begun = int(time.time() * 1000)
    first_ms = 1000 if age_ms is None else begun - age_ms
    source, offset, reached = KafkaSource(broker.bootstrap, topic=TOPIC, partition=1, disorder_ms=1000), 0, 0
    until = time.monotonic() + 20
    while reached < begun - 1000 and time.monotonic() < until:
        send_old(broker, 5, first_ms)
        reader = source.create_reader(None, Position(source, offset))
        stop = time.monotonic() + 0.1
        while time.monotonic() < stop:
            reader.advance()
        send_old(broker, 1, first_ms)  # so that there is always one more
        reached, offset = watermark_ms(reader), reader.offset
        reader.close()
    assert begun - 1000 <= reached <= int(time.time() * 1000) - 1000


def claim(reader: KafkaReader, count: int) -> list[Record]:
    """The first claim that holds as many; it is polled for until then."""
    found: list[Record] = []
    until = time.monotonic() + 10
    while len(found) < count and time.monotonic() < until:
        if reader.advance():
            found += reader.get_current()
    assert len(found) == count
    return found


def test_what_stands_beside_a_record_of_1970_tells_the_watermark(broker: Broker) -> None:
    now = int(time.time() * 1000)
    send_old(broker, 1, now - 9000)
    send_old(broker, 1, 1000)
    send_old(broker, 1, now - 8000)
    reader = KafkaSource(broker.bootstrap, topic=TOPIC, partition=1, disorder_ms=1000).create_reader(None, None)
    found = claim(reader, 3)
    assert [record.timestamp_ms for record in found] == [now - 9000, 1000, now - 8000]
    assert now - 10_000 <= watermark_ms(reader) <= now - 9000
    reader.close()


def send_with_header(broker: Broker, name: bytes, value: bytes) -> None:
    """A record with a header of any name, as clients in C, Go and Java send it; that in Python refuses what is not UTF-8."""
    (file,) = Path(confluent_kafka.__file__).parents[1].glob("confluent_kafka.libs/librdkafka*")
    library = ctypes.CDLL(str(file))
    for function in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(library, function).restype = ctypes.c_void_p
    error = ctypes.create_string_buffer(500)
    settings = ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(settings, b"bootstrap.servers", broker.bootstrap.encode(), error, ctypes.c_size_t(500))
    producer = ctypes.c_void_p(library.rd_kafka_new(0, settings, error, ctypes.c_size_t(500)))
    headers = ctypes.c_void_p(library.rd_kafka_headers_new(ctypes.c_size_t(1)))
    library.rd_kafka_header_add(headers, name, ctypes.c_ssize_t(len(name)), b"v", ctypes.c_ssize_t(1))
    to_topic, to_partition, of_value, with_headers, end = 1, 3, 4, 10, 0  # of rd_kafka_vtype_t
    library.rd_kafka_producev.restype = ctypes.c_int
    assert not library.rd_kafka_producev(
        producer, to_topic, ctypes.c_char_p(TOPIC.encode()), to_partition, ctypes.c_int32(1),
        of_value, ctypes.c_char_p(value), ctypes.c_size_t(len(value)), with_headers, headers, end,
    )  # fmt: skip
    assert not library.rd_kafka_flush(producer, 10_000)
    library.rd_kafka_destroy(producer)


def test_a_header_with_a_name_that_is_no_text_costs_its_record_only(broker: Broker) -> None:
    sent = batch("j", new_process(), 0, ["x"]).SerializeToString()
    send_with_header(broker, b"caf\xe9", sent)
    send_old(broker, 1, int(time.time() * 1000))
    reader = KafkaSource(broker.bootstrap, topic=TOPIC, partition=1).create_reader(None, None)
    bad, good = claim(reader, 2)
    reader.close()
    assert (bad.value, bad.offset, good.headers) == (sent, 0, tuple(SCHEMA))
    decoder = DecodeFn(Settings("unused"))
    decoder.setup()
    (refused,) = decoder.process([bad])
    letter = refused.value
    assert (letter.code, letter.original, letter.topic, letter.offset) == ("bad-headers", sent, TOPIC, 0)
    assert "not UTF-8" in letter.reason


def test_a_reader_goes_on_behind_what_the_broker_dropped(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """As a job whose committed offset expired while it was down. A bounded run must not: its plan would be another's."""
    send_old(broker, 1, int(time.time() * 1000))
    kafka_client.commit(broker.bootstrap, "expired", {(TOPIC, 1): 1})
    for _ in range(9):  # of 5 MiB a partition the embedded broker drops the head
        broker.producer.produce(TOPIC, bytes(900_000), partition=1)
    assert broker.producer.flush(20) == 0
    asked = kafka_client.consumer(broker.bootstrap)
    low, high = kafka_client.bounds(asked, TOPIC, 1)
    asked.close()
    assert low > 1
    (part,) = [p for p in KafkaSource(broker.bootstrap, [TOPIC], group="expired").split(1) if p.partition == 1]
    assert part.start == 1
    reader = part.create_reader(None, None)
    found = claim(reader, high - low)
    reader.close()
    assert [record.offset for record in found] == list(range(low, high))
    assert f"{low - 1} records of {TOPIC}/1 (offsets 1 to {low - 1}) went from the broker unread" in caplog.text
    bounded = KafkaSource(broker.bootstrap, topic=TOPIC, partition=1, start=1, stop=high).create_reader(None, None)
    with pytest.raises(Transient, match=kafka_client.OFFSET_GONE):
        claim(bounded, 1)
    bounded.close()


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    send_old(broker, 2, int(time.time() * 1000))
    reader = KafkaSource(broker.bootstrap, topic=TOPIC, partition=1, start=70).create_reader(None, None)
    assert [record.offset for record in claim(reader, 2)] == [0, 1]
    reader.close()
    assert "was read up to 70: made anew" in caplog.text

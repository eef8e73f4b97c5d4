"""What we ask of a broker, and what librdkafka may say beside it."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from tests.pipelines.feed import TOPIC, Broker, Marked, batch, new_process
from tracewinnow.pipelines import kafka_client
from tracewinnow.schemas.errors import Transient


def said(text: str) -> logging.LogRecord:
    return logging.LogRecord("librdkafka", logging.ERROR, "", 0, text, (), None)


def test_the_same_is_said_seldom() -> None:
    seldom = kafka_client.Seldom(seconds=0.2)
    first = "FAIL [rdkafka#consumer-1] [thrd:b:9092]: Failed to resolve 'b' (after 0ms in state CONNECT)"
    again = "FAIL [rdkafka#consumer-2] [thrd:b:9092]: Failed to resolve 'b' (after 7ms in state CONNECT)"
    assert seldom.filter(said(first))
    assert not seldom.filter(said(again))
    assert seldom.filter(said("FAIL [rdkafka#consumer-1] [thrd:c:9092]: Failed to resolve 'c'"))
    time.sleep(0.25)
    assert seldom.filter(said(again))
    for number in range(1000):
        seldom.filter(said(f"{number}"))
    assert len(seldom.said) < 200


def test_a_broker_that_is_not_there_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kafka_client, "TIMEOUT", 2.0)
    reader = kafka_client.consumer("no-such-host.invalid:9092")
    with pytest.raises(Transient, match="no Kafka broker answers"):
        kafka_client.cluster_id(reader, "no-such-host.invalid:9092")
    reader.close()
    told = [record for record in caplog.records if "no-such-host" in record.getMessage()]
    assert len(told) <= 1
    assert sum("no-such-host" in line for line in capfd.readouterr().err.splitlines()) <= 1


def offsets(used: Any, count: int) -> list[int]:
    found: list[int] = []
    until = time.monotonic() + 10
    while len(found) < count and time.monotonic() < until:
        found += [message.offset() for message in kafka_client.poll(used, count - len(found), 0.2)[0]]
    return found


def test_a_parked_reader_goes_on_where_it_stopped(broker: Broker) -> None:
    process = new_process()
    broker.send(*(batch("j", process, n, ["x"]) for n in range(10)))
    (partition,) = [p for p in range(4) if kafka_client.bounds(kafka_client.consumer(broker.bootstrap), TOPIC, p)[1]]
    first = kafka_client.borrow(broker.bootstrap, TOPIC, partition, 0)
    assert offsets(first, 4) == [0, 1, 2, 3]
    kafka_client.give_back(broker.bootstrap, first, TOPIC, partition, 4)
    again = kafka_client.borrow(broker.bootstrap, TOPIC, partition, 4)
    assert again is first
    assert offsets(again, 3) == [4, 5, 6]
    # Given back as if it stood elsewhere, as after an error: it must not be taken for one that stands there.
    kafka_client.give_back(broker.bootstrap, again, TOPIC, partition, 5)
    other = kafka_client.borrow(broker.bootstrap, TOPIC, partition, 5)
    assert other is not first
    assert offsets(other, 5) == [5, 6, 7, 8, 9]
    kafka_client.give_back(broker.bootstrap, other, TOPIC, partition, 10)


def test_parked_readers_are_bounded(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "PARKED", 2)
    process = new_process()
    broker.send(*(batch("j", process, n, ["x"]) for n in range(6)))
    (partition,) = [p for p in range(4) if kafka_client.bounds(kafka_client.consumer(broker.bootstrap), TOPIC, p)[1]]
    kafka_client._parked.pop(broker.bootstrap, None)
    for start in range(5):
        used = kafka_client.borrow(broker.bootstrap, TOPIC, partition, start)
        assert offsets(used, 1) == [start]
        kafka_client.give_back(broker.bootstrap, used, TOPIC, partition, start + 1)
        kafka_client._parked[broker.bootstrap][TOPIC, partition, 100 + start] = kafka_client._parked[
            broker.bootstrap
        ].pop((TOPIC, partition, start + 1))
    assert len(kafka_client._parked[broker.bootstrap]) == 2


def test_an_offset_that_no_record_has_is_told_from_silence(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    process = new_process()
    broker.send(*(batch("j", process, n, ["x"], created_ns=(n + 1) * 10**9) for n in range(3)))
    used = Marked(kafka_client.consumer(broker.bootstrap))
    (partition,) = [p for p in range(4) if kafka_client.bounds(used, TOPIC, p)[1]]
    assert kafka_client.bounds(used, TOPIC, partition) == (0, 4)
    assert kafka_client.timestamp_at(used, TOPIC, partition, 2) == 3000
    assert kafka_client.timestamp_at(used, TOPIC, partition, 3) is None
    # Given up for silence, not for the end: there is no such partition to come to the end of.
    monkeypatch.setattr(kafka_client, "TIMEOUT", 0.5)
    with pytest.raises(Transient, match="no record"):
        kafka_client.timestamp_at(Silent(), TOPIC, partition, 2)


def test_the_end_of_a_partition_is_told_once_and_again_when_it_moved(broker: Broker) -> None:
    process = new_process()
    broker.send(batch("j", process, 0, ["x"]))
    (partition,) = [p for p in range(4) if kafka_client.bounds(kafka_client.consumer(broker.bootstrap), TOPIC, p)[1]]
    used = kafka_client.borrow(broker.bootstrap, TOPIC, partition, 0)
    ends: list[int] = []
    for sequence in (1, 2):
        until = time.monotonic() + 10
        while len(ends) < sequence and time.monotonic() < until:
            _, end = kafka_client.poll(used, 10, 0.2)
            ends += [end] if end is not None else []
        assert kafka_client.poll(used, 10, 0.2) == ([], None)
        broker.send(batch("j", process, sequence, ["x"]))
    assert ends == [1, 2]
    used.close()


class Silent:
    def assign(self, partitions: list[Any]) -> None: ...

    def unassign(self) -> None: ...

    def consume(self, count: int, seconds: float) -> list[Any]:
        time.sleep(seconds)
        return []

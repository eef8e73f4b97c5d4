"""What we ask of a broker, and what librdkafka may say beside it."""

from __future__ import annotations

import logging
import time

import pytest

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

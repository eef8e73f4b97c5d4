"""Kafka as a source that is split once, carried by the runner, and found again in its savepoints."""

from __future__ import annotations

import pickle

from tests.pipelines.feed import TOPIC, Broker, batch, new_process
from tracewinnow.pipelines import kafka_client
from tracewinnow.pipelines.kafka_source import KafkaSource


def test_each_part_knows_what_the_whole_was_told(broker: Broker) -> None:
    broker.send(batch("j", new_process(), 0, ["x"]))
    kafka_client.commit(broker.bootstrap, "g", {(TOPIC, 2): 7})
    source = KafkaSource(broker.bootstrap, [TOPIC], group="g", disorder_ms=7, late_ms=9)
    parts = source.split(20)
    assert [(part.partition, part.start, part.stop) for part in parts] == [
        (0, None, None),
        (1, None, None),
        (2, 7, None),
        (3, None, None),
    ]
    assert {(part.group, part.disorder_ms, part.late_ms, part.known) for part in parts} == {("g", 7, 9, 4)}


def test_a_source_of_an_older_version_is_read() -> None:
    """From a savepoint: it lacks what was added since."""
    source = KafkaSource("nowhere:1", topic=TOPIC, partition=2, start=5)
    del source.known, source.late_ms
    found = pickle.loads(pickle.dumps(source))
    assert (found.start, found.known, found.late_ms) == (5, 0, 86_400_000)

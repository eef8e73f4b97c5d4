"""The few things that we ask of a broker, with every wait bounded. confluent-kafka is imported when it is used."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import defaultdict
from typing import Any

from tracewinnow.schemas.errors import Transient

LOG = logging.getLogger(__name__)
TIMEOUT = 10.0  # seconds, for one question
PARKED = (
    16  # consumers that wait for the next bundle; each holds 3 MiB of what it fetched, and what is compressed in it
)
OFFSET_GONE = "offset-gone"  # in the text of an error: Beam keeps the text of what a step raised, not its type

Partition = tuple[str, int]

_lock = threading.Lock()
# Consumers between bundles, by where they stand; connecting costs 50 ms, and fetching again what was fetched far more.
_parked: dict[str, dict[tuple[str, int, int], Any]] = defaultdict(dict)
_committers: dict[tuple[str, str], Any] = {}


class Seldom(logging.Filter):
    """Passes what librdkafka says once in `seconds`: of a broker that is away it tells many times a second."""

    def __init__(self, seconds: float = 60.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        # Without the number of the client, and how long it tried.
        what = re.sub(r"rdkafka#\S+|\(after .*", "", record.getMessage())
        now = time.monotonic()
        if now < self.said.get(what, -1.0) + self.seconds:
            return False
        if len(self.said) > 100:
            self.said.clear()
        self.said[what] = now
        return True


LIBRDKAFKA = LOG.getChild("librdkafka")
LIBRDKAFKA.addFilter(Seldom())


def _quiet(error: Any) -> None:
    LOG.debug("librdkafka: %s", error)


def consumer(bootstrap: str, group: str = "tracewinnow-reader", *, ahead: bool = False) -> Any:
    """A consumer that never commits by itself and fails loudly when an offset is gone.

    ahead: fetch what comes next while the caller works; else no more than what is asked for, as near as the protocol allows.
    """
    from confluent_kafka import Consumer

    # Of what waits in a consumer there is one for each partition, so it bounds the memory of a reader that is behind.
    # A broker sends a whole record, however small the limit; the answer to a fetch comes at once when there is something.
    # The default is to look only each second whether there is room again.
    fetching = (
        {
            "fetch.wait.max.ms": 250,
            "fetch.message.max.bytes": 1 << 20,
            "queued.max.messages.kbytes": 4 << 10,
            "fetch.queue.backoff.ms": 5,
        }
        if ahead
        else {"fetch.wait.max.ms": 50, "fetch.message.max.bytes": 1}
    )
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            # The end of a partition is an offset that no record may ever have: a transaction's marker is counted, and compaction
            # leaves gaps. Only this event says that nothing is left before it.
            "enable.partition.eof": True,
            "error_cb": _quiet,
            **fetching,
        },
        logger=LIBRDKAFKA,
    )


def borrow(bootstrap: str, topic: str, partition: int, offset: int) -> Any:
    """A consumer assigned to one partition at an offset; give it back when done.

    The one that stopped there, if it is still parked: what it fetched meanwhile is not fetched again.
    """
    from confluent_kafka import TopicPartition

    with _lock:
        parked = _parked[bootstrap]
        found = parked.pop((topic, partition, offset), None)
        if found is not None:
            return found
        if len(parked) >= PARKED:
            found = parked.pop(next(iter(parked)))  # the one that was not asked for the longest time
    found = found or consumer(bootstrap, ahead=True)
    found.assign([TopicPartition(topic, partition, offset)])
    return found


def give_back(bootstrap: str, used: Any, topic: str, partition: int, offset: int) -> None:
    """Park a consumer that has handed over everything before `offset`. One that stands elsewhere, as after an error, is closed."""
    from confluent_kafka import TopicPartition

    if used.position([TopicPartition(topic, partition)])[0].offset == offset:
        with _lock:
            replaced = _parked[bootstrap].pop((topic, partition, offset), None)
            _parked[bootstrap][topic, partition, offset] = used
        used = replaced
    if used is not None:
        used.close()


def poll(used: Any, count: int, seconds: float) -> tuple[list[Any], int | None]:
    """At most `count` messages, and the offset of the partition's end when it was met: nothing else stands before it.

    Waits up to `seconds`. An end is told once by a consumer, until there is a new one.

    Raises Transient for what may pass, and for an offset that the broker no longer has (`offset-gone` in the text):
    the driver decides what that means.
    """
    from confluent_kafka import KafkaError

    messages: list[Any] = used.consume(count, seconds)
    good, end = [], None
    for message in messages:
        error = message.error()
        if error is None:
            good.append(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            end = int(message.offset())
        elif good or end is not None:
            break  # hand over what is good; the error comes again with the next poll
        elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise Transient(f"{OFFSET_GONE}: the broker no longer has what was asked for: {error.str()}")
        else:
            raise Transient(f"the broker at fault while reading: {error.str()}")
    return good, end


def bounds(used: Any, topic: str, partition: int) -> tuple[int, int]:
    """First offset that the broker still has, and the one after the last. Raises Transient."""
    from confluent_kafka import KafkaException, TopicPartition

    try:
        low, high = used.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT)
    except KafkaException as failed:
        raise Transient(f"the broker did not answer for {topic}/{partition}: {failed}") from failed
    return int(low), int(high)


def partitions(bootstrap: str, topics: list[str], used: Any = None) -> list[Partition]:
    """Partitions of the topics that exist. Raises Transient when no broker answers."""
    from confluent_kafka import KafkaException

    asked = used or consumer(bootstrap)
    try:
        found: list[Partition] = []
        for topic in topics:
            about = asked.list_topics(topic, timeout=TIMEOUT).topics.get(topic)
            if about is not None and about.error is None:
                found.extend((topic, partition) for partition in sorted(about.partitions))
        return found
    except KafkaException as failed:
        raise _no_answer(bootstrap, failed) from failed
    finally:
        if used is None:
            asked.close()


def committed(bootstrap: str, group: str, of: list[Partition]) -> dict[Partition, int]:
    """Offsets that the group has committed; partitions without one are left out. Raises Transient."""
    from confluent_kafka import KafkaException, TopicPartition

    try:
        found = _committer(bootstrap, group).committed([TopicPartition(t, p) for t, p in of], timeout=TIMEOUT)
    except KafkaException as failed:
        raise Transient(f"the committed offsets of group {group} could not be read: {failed}") from failed
    return {(f.topic, f.partition): f.offset for f in found if f.offset >= 0}


def commit(bootstrap: str, group: str, offsets: dict[Partition, int]) -> None:
    """Commit offsets for the group; blocks until the broker has them."""
    from confluent_kafka import TopicPartition

    _committer(bootstrap, group).commit(
        offsets=[TopicPartition(t, p, offset) for (t, p), offset in offsets.items()], asynchronous=False
    )


def _committer(bootstrap: str, group: str) -> Any:
    with _lock:
        if (bootstrap, group) not in _committers:
            _committers[bootstrap, group] = consumer(bootstrap, group)
        return _committers[bootstrap, group]


def cluster_id(used: Any, bootstrap: str) -> str:
    """The broker's own name; waits for it for 5 s. Raises Transient."""
    from confluent_kafka import KafkaException

    try:
        return str(used.list_topics(timeout=5.0).cluster_id)
    except KafkaException as failed:
        raise _no_answer(bootstrap, failed) from failed


def _no_answer(bootstrap: str, failed: Any) -> Transient:
    return Transient(
        f"no Kafka broker answers at {bootstrap} ({failed.args[0].str()}). Is it running, and is the address right?"
    )


def timestamp_at(used: Any, topic: str, partition: int, offset: int) -> int | None:
    """Record time (ms) of the first record from an offset on; None where there is none. Raises Transient for silence."""
    from confluent_kafka import TopicPartition

    used.assign([TopicPartition(topic, partition, offset)])
    try:
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            polled, end = poll(used, 1, 0.2)
            if polled:
                return int(polled[0].timestamp()[1])
            if end is not None:
                return None
    finally:
        used.unassign()
    raise Transient(f"the broker gave no record at {topic}/{partition} offset {offset} within {TIMEOUT:g}s")

"""Reads one partition: one claim for each consumer batch, because a claim costs 60 us and a record does not.

A reader looks idle when it is parked between bundles, so the end of the partition is asked before the watermark moves.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from apache_beam.io.unbounded_source import UnboundedReader
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from tracewinnow.pipelines import kafka_client
from tracewinnow.pipelines.decode import BAD_HEADERS, record_bytes
from tracewinnow.pipelines.positions import go_on
from tracewinnow.pipelines.records import Record
from tracewinnow.schemas.errors import Transient

if TYPE_CHECKING:
    from tracewinnow.pipelines.kafka_source import KafkaSource, Position

LOG = logging.getLogger(__name__)
CLAIM_RECORDS = 100  # at most this many in an element; with batches of 512 KiB, 50 MiB
CLAIM_BYTES = 8 << 20  # but no further poll once an element holds this much
IDLE_SECONDS = 2.0
LOOK_SECONDS = 300.0  # between looks for partitions that were added

# (broker, topic, partition) -> the offset at which a reader of this process stands, and since when nothing came there. A runner
# makes a new reader for every bundle, so none lives long enough to know by itself that its partition is idle; and one idle
# partition would hold the watermark of all.
_quiet: dict[tuple[str, str, int], tuple[int, float]] = {}
# (broker, topic) -> when a reader of this process last looked for new partitions.
_looked: dict[tuple[str, str], float] = {}


def _plausible(timestamp_ms: int, now_ms: int) -> int:
    """A record's time as Beam may know it, in [0, now].

    A clock that is ahead would make everybody else's windows late, and Beam has no time as late as some that Kafka accepts.
    """
    return min(max(0, timestamp_ms), now_ms)


def _headers(message: Any) -> tuple[tuple[str, bytes], ...]:
    """Headers of a message; where a name is not UTF-8, none can be read, and one of ours stands for them and says so."""
    try:
        return tuple((name, data or b"") for name, data in message.headers() or ())
    except (SystemError, UnicodeDecodeError):
        return (
            (
                BAD_HEADERS,
                b"the name of a header is not UTF-8, so none of the headers could be read: name them in UTF-8",
            ),
        )


def _record(message: Any) -> Record:
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.value() or b"",
        _headers(message),
    )


class KafkaReader(UnboundedReader):
    """Reads one partition. Not safe for use in many threads."""

    def __init__(self, source: KafkaSource, offset: int) -> None:
        self.source = source
        self.offset = offset
        self.current: list[Record] = []
        self.current_ms = 0
        self.watermark_ms = 0
        self.only_old = False  # of what came last nothing says how far the partition is
        self.warm = False
        self.idle_since = time.monotonic()
        self.place = (source.bootstrap, source.topic, source.partition)
        if _quiet.get(self.place, (None,))[0] != offset:
            _quiet[self.place] = (offset, self.idle_since)
        self.consumer = kafka_client.borrow(source.bootstrap, source.topic, source.partition, offset)

    def start(self) -> bool:
        return self.advance()

    def advance(self) -> bool:
        """Poll for 50 ms, or 2 s by a fresh consumer that knows there is something; False when nothing is there."""
        stop = self.source.stop
        if stop is not None and self.offset >= stop:
            return False
        self._look_for_partitions()
        records: list[Record] = []
        size = 0
        while not records or (size < CLAIM_BYTES and len(records) < CLAIM_RECORDS):
            want = CLAIM_RECORDS - len(records)
            if stop is not None:
                want = min(want, stop - self.offset)
            polled, end = self._poll(min(want, 20), 0.0 if records else 0.05)
            if not polled and end is None and not self.warm and not self._caught_up():
                # Connecting takes longer than a poll. Without this wait a reader that a runner rebuilds every time starves.
                polled, end = self._poll(min(want, 20), 2.0)
            self.warm = self.warm or bool(polled) or end is not None
            for message in polled:
                if stop is not None and message.offset() >= stop:
                    end = stop  # what stood between was no record, and this one is for the next run
                    break
                records.append(_record(message))
                size += record_bytes(records[-1])
                self.offset = message.offset() + 1
            if end is not None and end > self.offset:
                self.offset = end if stop is None else min(end, stop)
                _quiet[self.place] = (self.offset, _quiet[self.place][1])  # it stands further, but nothing came
            if not polled or (stop is not None and self.offset >= stop):
                break
        if not records:
            return False
        self.current = records
        self.idle_since = time.monotonic()
        now_ms = int(time.time() * 1000)
        self.current_ms = _plausible(min(r.timestamp_ms for r in records), now_ms)
        told = [r.timestamp_ms for r in records if r.timestamp_ms >= now_ms - self.source.late_ms]
        self.only_old = not told
        if told:
            self.watermark_ms = max(self.watermark_ms, _plausible(min(told), now_ms))
        _quiet[self.place] = (self.offset, self.idle_since if told else _quiet[self.place][1])
        return True

    def _poll(self, count: int, seconds: float) -> tuple[list[Any], int | None]:
        """What is there; where the broker dropped what an endless reader would read next, it goes on at what is left."""
        from confluent_kafka import TopicPartition

        try:
            return kafka_client.poll(self.consumer, count, seconds)
        except Transient as failed:
            if kafka_client.OFFSET_GONE not in str(failed) or self.source.stop is not None or self.offset < 0:
                raise
            place = (self.source.topic, self.source.partition)
            low, high = kafka_client.bounds(self.consumer, *place)
            if low <= self.offset <= high:
                raise  # it is there after all: the next reader will see
            self.offset = go_on(*place, self.offset, low, high)
            self.consumer.assign([TopicPartition(*place, self.offset)])
            return [], None

    def get_current(self) -> list[Record]:
        return self.current

    def get_current_timestamp(self) -> Timestamp:
        return Timestamp(micros=self.current_ms * 1000)

    def get_watermark(self) -> Timestamp:
        """Smallest record time still to come, as far as can be known: the last one's less the allowed disorder.

        What is older than the runner waits for says nothing, such as records of a clock that was never set: their windows are built
        at once, and a partition that has no others counts as idle.
        """
        stop = self.source.stop
        if stop is not None and self.offset >= stop:
            return MAX_TIMESTAMP
        disorder_ms = self.source.disorder_ms
        watermark_ms = self.watermark_ms - disorder_ms
        _, quiet_since = _quiet[self.place]
        if time.monotonic() - quiet_since > IDLE_SECONDS and (self.only_old or self._caught_up()):
            watermark_ms = max(watermark_ms, int(time.time() * 1000) - disorder_ms)
            self.watermark_ms = watermark_ms + disorder_ms
        return Timestamp(micros=max(0, watermark_ms) * 1000)

    def get_checkpoint_mark(self) -> Position:
        return self.source.position(self.offset)

    def close(self) -> None:
        kafka_client.give_back(
            self.source.bootstrap, self.consumer, self.source.topic, self.source.partition, self.offset
        )

    def _caught_up(self) -> bool:
        start, end = kafka_client.bounds(self.consumer, self.source.topic, self.source.partition)
        return max(self.offset, start) >= end

    def _look_for_partitions(self) -> None:
        """Warn of partitions that were added since the job was split, which nobody reads. The reader of the first one looks."""
        source, now = self.source, time.monotonic()
        if source.partition != 0 or not source.known:
            return
        if now < _looked.get((source.bootstrap, source.topic), -LOOK_SECONDS) + LOOK_SECONDS:
            return
        _looked[source.bootstrap, source.topic] = now
        try:
            found = len(kafka_client.partitions(source.bootstrap, [source.topic], self.consumer))
        except Transient:  # reading meets it as well, and says so
            return
        if found > source.known:
            LOG.warning(
                "topic %s has %d partitions, and this job reads %d, as many as there were when it was submitted: drain it and "
                "submit it anew",
                source.topic,
                found,
                source.known,
            )

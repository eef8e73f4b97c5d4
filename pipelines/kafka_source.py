"""Kafka as an unbounded source: one claim for each consumer batch, because a claim costs 60 us and a record does not.

The same class serves streaming (no stop offset) and bounded runs (stop offsets: the reader ends when it is there).
A reader looks idle when it is parked between bundles, so the end of the partition is asked before the watermark moves.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from typing import Any

from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import CheckpointMark, UnboundedReader, UnboundedSource
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from tracewinnow.pipelines import kafka_client
from tracewinnow.pipelines.records import Record
from tracewinnow.schemas.errors import Transient

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


def _plausible(timestamp_ms: int) -> int:
    """A record's time as the watermark may know it, in [0, now].

    A clock that is ahead would make everybody else's windows late, and Beam has no time as late as some that Kafka accepts.
    """
    return min(max(0, timestamp_ms), int(time.time() * 1000))


class Position(CheckpointMark):
    """The next offset of one partition. Committing is for lag dashboards and for a new job: the archive holds the data."""

    def __init__(self, source: KafkaSource, offset: int) -> None:
        self.source = source
        self.offset = offset

    def finalize_checkpoint(self) -> None:
        """Commit; blocks on the broker. Idempotent. A failure is logged: the archive already has what was read."""
        if not self.source.group or self.source.stop is not None or self.offset < 0:
            return
        try:
            kafka_client.commit(
                self.source.bootstrap, self.source.group, {(self.source.topic, self.source.partition): self.offset}
            )
        except Exception as failed:  # noqa: BLE001 - a lost commit costs a repeated read, a raised one the job
            LOG.warning("offset %d of %s was not committed: %s", self.offset, self.source.topic, failed)


class PositionCoder(Coder):
    """A Position as JSON."""

    def encode(self, mark: Position) -> bytes:
        return json.dumps([mark.source.to_json(), mark.offset]).encode()

    def decode(self, data: bytes) -> Position:
        source, offset = json.loads(data)
        return Position(KafkaSource(**source), offset)

    def is_deterministic(self) -> bool:
        return True


class KafkaReader(UnboundedReader):
    """Reads one partition. Not safe for use in many threads."""

    def __init__(self, source: KafkaSource, offset: int) -> None:
        self.source = source
        self.offset = offset
        self.current: list[Record] = []
        self.current_ms = 0
        self.watermark_ms = 0
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
            polled, end = kafka_client.poll(self.consumer, min(want, 20), 0.0 if records else 0.05)
            if not polled and end is None and not self.warm and not self._caught_up():
                # Connecting takes longer than a poll. Without this wait a reader that a runner rebuilds every time starves.
                polled, end = kafka_client.poll(self.consumer, min(want, 20), 2.0)
            self.warm = self.warm or bool(polled) or end is not None
            for message in polled:
                if stop is not None and message.offset() >= stop:
                    end = stop  # what stood between was no record, and this one is for the next run
                    break
                value = message.value() or b""
                headers = tuple((name, data or b"") for name, data in message.headers() or ())
                records.append(
                    Record(
                        message.topic(), message.partition(), message.offset(), message.timestamp()[1], value, headers
                    )
                )
                size += len(value)
                self.offset = message.offset() + 1
            if end is not None and end > self.offset:
                self.offset = end if stop is None else min(end, stop)
                _quiet[self.place] = (self.offset, _quiet[self.place][1])  # it stands further, but nothing came
            if not polled or (stop is not None and self.offset >= stop):
                break
        if not records:
            return False
        self.current = records
        self.current_ms = _plausible(min(r.timestamp_ms for r in records))
        self.watermark_ms = max(self.watermark_ms, self.current_ms)
        self.idle_since = time.monotonic()
        _quiet[self.place] = (self.offset, self.idle_since)
        return True

    def get_current(self) -> list[Record]:
        return self.current

    def get_current_timestamp(self) -> Timestamp:
        return Timestamp(micros=self.current_ms * 1000)

    def get_watermark(self) -> Timestamp:
        """Smallest record time still to come, as far as can be known: the last one's less the allowed disorder."""
        stop = self.source.stop
        if stop is not None and self.offset >= stop:
            return MAX_TIMESTAMP
        disorder_ms = self.source.disorder_ms
        watermark_ms = self.watermark_ms - disorder_ms
        _, quiet_since = _quiet[self.place]
        if time.monotonic() - quiet_since > IDLE_SECONDS and self._caught_up():
            watermark_ms = max(watermark_ms, int(time.time() * 1000) - disorder_ms)
            self.watermark_ms = watermark_ms + disorder_ms
        return Timestamp(micros=max(0, watermark_ms) * 1000)

    def get_checkpoint_mark(self) -> Position:
        return Position(self.source, self.offset)

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


class KafkaSource(UnboundedSource):
    """Topics, or one partition of one. Small and picklable: Beam carries it in every restriction.

    start: first offset; None is the group's committed offset, or the earliest. stop: end offset, exclusive; None is
    for ever. ranges: for a bounded run, [topic, partition, start, stop] of each part; it replaces topics. known: partitions that
    the topic had when it was split.
    """

    known = 0  # also of a source that an older version pickled

    def __init__(
        self,
        bootstrap: str,
        topics: list[str] | None = None,
        group: str = "",
        disorder_ms: int = 5000,
        topic: str = "",
        partition: int = -1,
        start: int | None = None,
        stop: int | None = None,
        ranges: list[list[Any]] | None = None,
        known: int = 0,
    ) -> None:
        self.bootstrap = bootstrap
        self.topics = topics or []
        self.group = group
        self.disorder_ms = disorder_ms
        self.topic = topic
        self.partition = partition
        self.start = start
        self.stop = stop
        self.ranges = ranges
        self.known = known

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    def split(self, desired_num_splits: int, options: Any = None) -> list[KafkaSource]:
        """One source for each partition; asks the broker once. Raises Transient when it does not answer."""
        if self.partition >= 0:
            return [self]
        if self.ranges is not None:
            return [self._part(topic, partition, start, stop) for topic, partition, start, stop in self.ranges]
        found = kafka_client.partitions(self.bootstrap, self.topics)
        committed = kafka_client.committed(self.bootstrap, self.group, found) if self.group else {}
        known = Counter(topic for topic, _ in found)
        return [self._part(t, p, committed.get((t, p)), None, known[t]) for t, p in found]

    def create_reader(self, options: Any, checkpoint_mark: Position | None) -> KafkaReader:
        offset = checkpoint_mark.offset if checkpoint_mark is not None else self.start
        return KafkaReader(self, -2 if offset is None else offset)  # -2: librdkafka's OFFSET_BEGINNING

    def get_checkpoint_mark_coder(self) -> PositionCoder:
        return PositionCoder()

    def _part(self, topic: str, partition: int, start: int | None, stop: int | None, known: int = 0) -> KafkaSource:
        return KafkaSource(
            self.bootstrap,
            group=self.group,
            disorder_ms=self.disorder_ms,
            topic=topic,
            partition=partition,
            start=start,
            stop=stop,
            known=known,
        )

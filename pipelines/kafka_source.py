"""Kafka as an unbounded source: a part for each partition.

The same class serves streaming (no stop offset) and bounded runs (stop offsets: the reader ends when it is there).
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import Any

from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import CheckpointMark, UnboundedSource

from tracewinnow.pipelines import kafka_client
from tracewinnow.pipelines.kafka_reader import KafkaReader

LOG = logging.getLogger(__name__)


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


class KafkaSource(UnboundedSource):
    """Topics, or one partition of one. Small and picklable: Beam carries it in every restriction.

    start: first offset; None is the group's committed offset, or the earliest. stop: end offset, exclusive; None is
    for ever. ranges: for a bounded run, [topic, partition, start, stop] of each part; it replaces topics. known: partitions that
    the topic had when it was split. late_ms: age of a record from which it tells nothing of how far the others are.
    """

    # Also of a source that an older version pickled.
    known = 0
    late_ms = 86_400_000

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
        late_ms: int = late_ms,
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
        self.late_ms = late_ms

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

    def position(self, offset: int) -> Position:
        """The checkpoint of a reader that stands there."""
        return Position(self, offset)

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
            late_ms=self.late_ms,
        )

"""Streaming on a runner that keeps windows itself: Flink, Prism, Dataflow."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam
from apache_beam.io.unbounded_source import ReadFromUnboundedSource

from tracewinnow.pipelines import graph
from tracewinnow.pipelines.kafka_source import KafkaSource
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.run import submit
from tracewinnow.pipelines.topics import check_topics

# Small bundles: a checkpoint waits for the bundle in hand, and an answer for the checkpoint of none.
BUNDLE_CLAIMS = 50
BUNDLE_SECONDS = 1.0


def submit_stream(
    runner: str,
    bootstrap: str,
    topics: list[str],
    settings: Settings,
    group: str,
    disorder_ms: int,
    arguments: Sequence[str],
) -> str:
    """Submit the streaming job; blocks while it runs. The same graph as on the local runner, over an endless source.

    Beam splits the source once, so partitions must be there by then: raises BadUse for a topic that is not, Transient when no
    broker answers.
    """
    check_topics(bootstrap, topics)

    def construct(pipeline: beam.Pipeline) -> None:
        source = KafkaSource(
            bootstrap, topics, group=group, disorder_ms=disorder_ms, late_ms=settings.late_ns // 1_000_000
        )
        records = pipeline | "ReadKafka" >> ReadFromUnboundedSource(
            source, poll_interval=0.2, max_records_per_bundle=BUNDLE_CLAIMS, max_read_time_seconds=BUNDLE_SECONDS
        )
        graph.whole(records, settings)

    return submit(runner, construct, arguments)

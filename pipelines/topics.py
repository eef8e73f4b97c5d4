"""Whether the broker has the topics that are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from tracewinnow.pipelines import kafka_client
from tracewinnow.schemas.errors import BadUse


def missing_topics(bootstrap: str, topics: Sequence[str]) -> list[str]:
    """Those that the broker does not have. Raises Transient when none answers."""
    asked = kafka_client.consumer(bootstrap)
    try:
        kafka_client.cluster_id(asked, bootstrap)  # waits less long for a broker that is not there
        there = {topic for topic, _ in kafka_client.partitions(bootstrap, list(topics), asked)}
    finally:
        asked.close()
    return [topic for topic in topics if topic not in there]


def check_topics(bootstrap: str, topics: Sequence[str]) -> None:
    """Raises BadUse for a topic that is not there, Transient when no broker answers."""
    if gone := missing_topics(bootstrap, topics):
        raise BadUse(
            f"the broker has no topic {', '.join(gone)}: make it first, or name the topics that are there with --topics"
        )

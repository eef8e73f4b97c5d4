"""Streaming on one machine: a loop of bounded runs, each written down before it is begun.

Order within a turn: plan -> save state with the plan -> run the graph (archive, then results) -> save state without it -> commit
offsets. Killed anywhere, the next process either repeats the plan, which writes the same objects again, or goes on behind it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import apache_beam as beam
from apache_beam.io.unbounded_source import ReadFromUnboundedSource

from tracewinnow.pipelines import graph, kafka_client
from tracewinnow.pipelines.kafka_source import KafkaSource
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.plan import Partition, Plan, State, due_windows, next_limit, share
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.pipelines.run import run_here
from tracewinnow.schemas.errors import BadUse
from tracewinnow.stores.objects import ObjectStore, open_objects

LOG = logging.getLogger(__name__)
STATE = "state/stream.json"
NS_PER_MS = 1_000_000


@dataclass
class LocalStream:
    """Reads topics until stopped. Not safe for use in many threads; one process a warehouse."""

    bootstrap: str
    topics: list[str]
    settings: Settings
    group: str = "tracewinnow"
    disorder_ms: int = 5000
    report: Callable[[Plan, dict[str, int], float], None] = lambda plan, counters, seconds: None
    store: ObjectStore = field(init=False)
    state: State = field(init=False)
    limit: int = 2000

    def __post_init__(self) -> None:
        self.store = open_objects(self.settings.warehouse)
        self.consumer = kafka_client.consumer(self.bootstrap)
        kafka_client.partitions(self.bootstrap, self.topics[:1], self.consumer)  # fails at once if there is no broker
        self.state = self._load()

    def turn(self, *, flush: bool = False) -> bool:
        """One run, if there is anything to do. flush: build the open windows too. Returns whether something was done."""
        plan = self.state.plan or self._plan(flush)
        if plan is None:
            return False
        if self.state.plan is None:
            self.state.plan = plan
            self._save()
        started = time.monotonic()
        counters = run_here(lambda pipeline: self._construct(pipeline, plan))
        self._finish(plan)
        seconds = time.monotonic() - started
        self.limit = next_limit(self.limit, plan.records, counters.get("bytes", 0), seconds)
        self.report(plan, counters, seconds)
        return True

    def _construct(self, pipeline: beam.Pipeline, plan: Plan) -> None:
        settings = replace(self.settings, fire_before_ns=plan.fire_before_ns, plan=plan.name)
        source = KafkaSource(self.bootstrap, ranges=[list(part) for part in plan.ranges])
        records = (
            pipeline
            | "ReadKafka" >> ReadFromUnboundedSource(source, max_records_per_bundle=1 << 30, max_read_time_seconds=3600)
            if plan.ranges
            else None
        )
        due = pipeline | "WindowsDue" >> beam.Create(plan.due).with_output_types(WindowKey) if plan.due else None
        graph.whole(records, due, settings)

    def _plan(self, flush: bool) -> Plan | None:
        waiting: dict[Partition, int] = {}
        starts: dict[Partition, int] = {}
        for partition in kafka_client.partitions(self.bootstrap, self.topics, self.consumer):
            low, high = kafka_client.bounds(self.consumer, *partition)
            starts[partition] = self._start(partition, low, high)
            if high > starts[partition]:
                waiting[partition] = high - starts[partition]
        # Before the peeks: what arrives while we look is not to be taken for late.
        watermark_ms = time.time_ns() // NS_PER_MS
        ranges = []
        for partition, count in sorted(share(waiting, self.limit).items()):
            stop = starts[partition] + count
            if count:
                ranges.append((*partition, starts[partition], stop))
            if count < waiting[partition]:
                watermark_ms = min(watermark_ms, kafka_client.timestamp_at(self.consumer, *partition, stop))
        fire_before_ns = (watermark_ms - self.disorder_ms) * NS_PER_MS
        due = (
            sorted(self.state.pending)
            if flush
            else due_windows(self.state.pending, self.settings.window_ns, fire_before_ns)
        )
        if not ranges and not due:
            return None
        return Plan(self.state.number + 1, ranges, due, fire_before_ns)

    def _start(self, partition: Partition, low: int, high: int) -> int:
        """Where to go on; says so when the broker no longer has it."""
        start = self.state.offsets.get(partition, low)
        if start < low:
            lost = low - start
            LOG.error(
                "%d records of %s/%d (offsets %d to %d) are gone from the broker unread; "
                "`tracewinnow sync` on the job's machine sends them again from its spool",
                lost, *partition, start, low - 1,
            )  # fmt: skip
            self.state.lost += lost
            self.state.offsets[partition] = start = low
        elif start > high:
            LOG.error(
                "%s/%d ends at offset %d, but %d was read before: the topic was made anew; reading it from its beginning",
                *partition, high, start,
            )  # fmt: skip
            self.state.offsets[partition] = start = low
        return start

    def _finish(self, plan: Plan) -> None:
        folder = f"state/open/{plan.name}/"
        remembered = [info.name for info in self.store.list(folder)]
        opened: set[WindowKey] = set()
        for name in remembered:
            opened.update((job, start) for job, start in json.loads(self.store.get(name)))
        self.state.pending = (self.state.pending - set(plan.due)) | opened
        for topic, partition, _, stop in plan.ranges:
            self.state.offsets[topic, partition] = stop
        self.state.number, self.state.plan = plan.number, None
        self._save()
        for name in remembered:
            self.store.delete(name)
        if plan.ranges:
            try:
                kafka_client.commit(self.bootstrap, self.group, {(t, p): stop for t, p, _, stop in plan.ranges})
            except Exception as failed:  # noqa: BLE001 - only dashboards read it: our own offsets are in the state
                LOG.warning("offsets were not committed: %s", failed)

    def _load(self) -> State:
        cluster = kafka_client.cluster_id(self.consumer)
        if not self.store.exists(STATE):
            return State(cluster=cluster, window_ns=self.settings.window_ns)
        state = State.from_json(self.store.get(STATE))
        if state.window_ns != self.settings.window_ns:
            raise BadUse(
                f"this warehouse was begun with windows of {state.window_ns / 1e9:g}s: "
                f"pass --window {state.window_ns // 1_000_000_000}s, or another warehouse"
            )
        if state.cluster != cluster:
            LOG.warning("this is another broker than before (%s, not %s): offsets begin anew", cluster, state.cluster)
            state.cluster, state.offsets = cluster, {}
            # Windows that a cut-off plan would have built: its records are not to be had again, what it archived is.
            if state.plan is not None:
                state.pending |= set(state.plan.due)
                state.number, state.plan = state.plan.number, None
        return state

    def _save(self) -> None:
        self.store.put(STATE, self.state.to_json())

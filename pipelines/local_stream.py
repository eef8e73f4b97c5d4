"""Streaming on one machine: a loop of bounded runs, each written down before it is begun.

    plan -> save the state with it -> run (archive) -> save the state without it -> commit offsets -> build what is due, beside it

Killed anywhere, the next process repeats the plan, which writes the same objects again, or goes on behind it; a window stays
pending until it is built.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone

import apache_beam as beam

from tracewinnow.pipelines import graph, kafka_client
from tracewinnow.pipelines.builder import Builders
from tracewinnow.pipelines.building import Building, Report
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.plan import FIRST_LIMIT, Partition, Range, State, next_limit, share
from tracewinnow.pipelines.planned import STATE, ReadPlanFn, RememberFn, load, load_own
from tracewinnow.pipelines.positions import go_on
from tracewinnow.pipelines.run import Prepared
from tracewinnow.schemas.errors import BadUse
from tracewinnow.stores.archive import Archive
from tracewinnow.stores.errors import NotFound
from tracewinnow.stores.objects import open_objects

LOG = logging.getLogger(__name__)
NS_PER_MS = 1_000_000
POLL_SECONDS = 0.3
LOCAL = "-local"  # behind the name of the group whose offsets are committed for dashboards


class LocalStream:
    """Reads topics into a warehouse until the caller stops. Not safe for use in many threads.

    One a warehouse: the one that is made last takes it over, as a pod does whose forerunner is still ending, and the other's next
    turn raises BadUse.

    builders: where they were started before; close() ends them.

    Raises Transient when no broker answers, BadUse when the warehouse was begun with other windows, TracewinnowError when a builder
    dies at its start.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: list[str],
        settings: Settings,
        group: str = "tracewinnow",
        disorder_ms: int = 5000,
        report: Report = lambda what, counters: None,
        builders: Builders | None = None,
    ) -> None:
        self.bootstrap = bootstrap
        self.topics = topics
        self.settings = settings
        self.group = group
        self.disorder_ms = disorder_ms
        self.report = report
        self.limit = FIRST_LIMIT
        self.store = open_objects(settings.warehouse)
        self.consumer = kafka_client.consumer(bootstrap)
        self.state = self._load(kafka_client.cluster_id(self.consumer, bootstrap))
        self._take_over()
        self.builders = builders or Builders(settings)
        self.reading = Prepared(self._construct)
        self.builders.wait()  # or they would start beside the first run, and take its time
        self.building = Building(settings, self.state, self.builders, self._save, report)

    def turn(self) -> bool:
        """Archive what has come, and keep the builders busy; blocks for one run. Returns whether there was something to do.

        With nothing to read it waits for a build to end, for POLL_SECONDS: to ask the broker again and again would take the time
        of the builders.
        """
        built = self.building.collect(0.0)
        read = self._ingest()
        self.building.submit()
        if not read and self.builders.building:
            built |= self.building.collect(POLL_SECONDS)
            self.building.submit()
        return read or built or bool(self.builders.building)

    def flush(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Build every pending window, over or not, and wait for it, until `stopped` says so."""
        self.building.flush(stopped)

    def close(self) -> None:
        """Wait for the builds in hand. What is pending stays so for the next start."""
        try:
            while self.builders.building:
                self.building.collect(0.5)
        finally:
            self.builders.close()
            self.consumer.close()

    # ---- reading -----------------------------------------------------------------------------------------------------

    def _ingest(self) -> bool:
        state = self.state
        if not state.ranges:
            state.ranges = self._plan()
            if not state.ranges:
                return False
            state.number += 1
            try:
                self._save()
            except BaseException:
                state.ranges = []  # what is read is what stands on disk: nobody knows whether this plan does
                raise
        started = time.monotonic()
        try:
            counters = self.reading.run()
        except Exception as failed:
            if kafka_client.OFFSET_GONE not in str(failed):
                raise
            # The broker dropped records while they were planned for. What the run archived of them is found by looking.
            LOG.error("records went from the broker while they were read; planning again")
            self._distrust(state)
            self._save()
            return True
        fired = [info.name for info in self.store.list(state.folder + "/")]
        for name in fired:
            for job_id, start_ns, at_once in json.loads(self.store.get(name)):
                state.add((job_id, start_ns), at_once)
        ranges, state.ranges = state.ranges, []
        for topic, partition, _, stop in ranges:
            state.offsets[topic, partition] = stop
        self._save()
        for name in fired:
            self.store.delete(name)
        self._commit(ranges)
        seconds = time.monotonic() - started
        records = sum(stop - start for _, _, start, stop in ranges)
        self.limit = next_limit(self.limit, records, counters.get("bytes", 0), seconds)
        self.report("read", {"plan": state.number, "records": records, "seconds": round(seconds, 3), **counters})
        return True

    def _construct(self, pipeline: beam.Pipeline) -> None:
        plan = pipeline | "Run" >> beam.Impulse()
        records = plan | "ReadKafka" >> beam.ParDo(ReadPlanFn(self.bootstrap, self.settings, self.state.owner))
        remember = RememberFn(self.settings, self.state.owner)
        _ = graph.archive(records, self.settings) | "Remember" >> beam.ParDo(remember)

    def _plan(self) -> list[Range]:
        waiting: dict[Partition, int] = {}
        starts: dict[Partition, int] = {}
        # Before the broker is asked: what arrives while we look is not to be taken for late.
        watermark_ms = time.time_ns() // NS_PER_MS
        oldest_ms = watermark_ms - self.settings.late_ns // NS_PER_MS
        for partition in kafka_client.partitions(self.bootstrap, self.topics, self.consumer):
            low, high = kafka_client.bounds(self.consumer, *partition)
            offset = self.state.offsets.get(partition, low)
            starts[partition] = go_on(*partition, offset, low, high)
            if starts[partition] != offset:
                self.state.lost += max(0, low - offset)
                self.state.offsets[partition] = low
            if high > starts[partition]:
                waiting[partition] = high - starts[partition]
        taken = share(waiting, self.limit)
        for partition in waiting:
            # Windows are over only as far as the archive goes, so what is about to be read holds the watermark as well. But a
            # very old record, as of a clock that was never set, must not hold the windows of all: its own is built at once.
            first_ms = kafka_client.timestamp_at(self.consumer, *partition, starts[partition])
            if first_ms is not None and first_ms >= oldest_ms:
                watermark_ms = min(watermark_ms, first_ms)
        self.state.watermark_ns = max(self.state.watermark_ns, (watermark_ms - self.disorder_ms) * NS_PER_MS)
        return [(*p, starts[p], starts[p] + count) for p, count in sorted(taken.items()) if count]

    def _commit(self, ranges: list[Range]) -> None:
        # Under a name of our own: another runner takes what its group committed for archived, and knows nothing of our warehouse.
        try:
            kafka_client.commit(self.bootstrap, f"{self.group}{LOCAL}", {(t, p): stop for t, p, _, stop in ranges})
        except Exception as failed:  # noqa: BLE001 - only dashboards read it: our own offsets are in the state
            LOG.warning("offsets were not committed: %s", failed)

    # ---- state -------------------------------------------------------------------------------------------------------

    def _load(self, cluster: str) -> State:
        if not self.store.exists(STATE):
            return State(cluster=cluster, window_ns=self.settings.window_ns)
        state = load(self.store)
        if state.window_ns != self.settings.window_ns:
            seconds = state.window_ns / 1e9
            raise BadUse(
                f"this warehouse was begun with windows of {seconds:g}s: pass --window {seconds:g}s, or another warehouse"
            )
        if state.cluster != cluster:
            LOG.warning(
                "this is another broker than before (%s, not %s): its topics are read from their beginning",
                cluster,
                state.cluster,
            )
            state.cluster, state.offsets = cluster, {}
            if state.ranges:
                self._distrust(state)
        return state

    def _take_over(self) -> None:
        """From here on the state on disk is ours: whoever saved it before sees that, and stops before it saves again.

        Between a save's look at the owner and its write another's may come. Then the one that was overwritten stops: whatever
        state stands on disk is whole, and of a process that archived what its offsets say.
        """
        left = self.state.folder
        self.state.owner = uuid.uuid4().hex
        self.state.who = f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now(timezone.utc):%FT%TZ}"
        self.store.put(STATE, self.state.to_json())
        # What a plan that was cut off left there: repeated, it says so again, in a folder of ours.
        for info in list(self.store.list(left + "/")):
            self.store.delete(info.name)

    def _distrust(self, state: State) -> None:
        """A plan cannot be repeated: take every window of the archive for unbuilt, and go on behind what is known."""
        archive = Archive(self.store)
        for job_id in archive.jobs():
            for start_ns in archive.windows(job_id):
                state.add((job_id, start_ns), False)
        state.ranges = []

    def _save(self) -> None:
        """What is being built is still pending on disk. Raises BadUse when another process has taken the warehouse over."""
        with suppress(NotFound):
            load_own(self.store, self.state.owner)
        memory = dict(self.state.pending)
        for key in self.builders.building:
            self.state.pending[key] = True
        self.store.put(STATE, self.state.to_json())
        self.state.pending = memory

"""The archive comes first: accepted batches are written before the bundle ends; only references go on."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import Accepted, WindowKey
from tracewinnow.pipelines.writers import Writers
from tracewinnow.stores.archive import Archive, ArchivedBatch
from tracewinnow.stores.objects import open_objects

OBJECT_BYTES = 16 << 20  # an object is written when a window has so much in this bundle
BUNDLE_BYTES = 64 << 20  # and everything, when the bundle holds so much


def fires_at(start_ns: int, at_once: bool, old_ns: int) -> Timestamp:
    """Time of a key as the runner sees it: the begin of its window, or `old_ns` for an older one that is to be built at once.

    A runner drops what belongs to a window that is past its allowed lateness, before any step of ours sees it. What is built at
    once sets no timer, so it need not stand in its own window.
    """
    return Timestamp(micros=(max(start_ns, old_ns) if at_once else start_ns) // 1000)


class ArchiveFn(beam.DoFn):
    """Accepted -> (WindowKey, whether its window must be built at once), one for each window in the bundle.

    At once: a window in which the job stopped or crashed, and one so old that a runner might drop it as late.
    Output leaves in finish_bundle, after the objects are written. Raises Transient when the store does not take them.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def setup(self) -> None:
        self.archive = Archive(open_objects(self.settings.warehouse))
        self.writers = Writers()

    def teardown(self) -> None:
        self.writers.close()

    def start_bundle(self) -> None:
        self.held: dict[WindowKey, dict[tuple[str, int], dict[bytes, ArchivedBatch]]] = {}
        self.sizes: defaultdict[WindowKey, int] = defaultdict(int)
        self.total = 0
        self.closing: set[WindowKey] = set()
        self.written: set[WindowKey] = set()

    def process(self, batch: Accepted) -> None:
        key = (batch.job_id, batch.window_start_ns)
        copies = self.held.setdefault(key, {}).setdefault((batch.process_uuid, batch.sequence), {})
        if batch.closes:
            self.closing.add(key)
        # A copy within the bundle is dropped here; a copy in another bundle when the window is read. What has the same
        # name and other content is kept: the reader of the window turns it into a dead letter.
        if batch.data in copies:
            return
        copies[batch.data] = ArchivedBatch(batch.process_uuid, batch.sequence, batch.created_ns, batch.data)
        self.sizes[key] += len(batch.data)
        self.total += len(batch.data)
        if self.sizes[key] >= OBJECT_BYTES:
            self._write(key)
        elif self.total >= BUNDLE_BYTES:
            for other in list(self.held):
                self._write(other)
            self.writers.drain()

    def finish_bundle(self) -> Iterator[Any]:
        for key in list(self.held):
            self._write(key)
        self.writers.drain()
        old_ns = time.time_ns() - self.settings.late_ns // 2
        for key in sorted(self.written):
            _, start_ns = key
            at_once = key in self.closing or start_ns + self.settings.window_ns < old_ns
            yield WindowedValue((key, at_once), fires_at(start_ns, at_once, old_ns), [GlobalWindow()])

    def _write(self, key: WindowKey) -> None:
        batches = [copy for copies in self.held.pop(key).values() for copy in copies.values()]
        self.writers.submit(self.archive.write, *key, batches)
        self.written.add(key)
        self.total -= self.sizes.pop(key)

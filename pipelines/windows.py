"""When a window is built: at the watermark, for late data, and at once where a job stopped or crashed.

A streaming runner keeps the windows itself (FireWindows); the local one only has them written down (RememberFn).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import TimerSpec, on_timer
from apache_beam.transforms.window import FixedWindows

from tracewinnow.pipelines.options import SECOND, Settings
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.stores.objects import open_objects


class FireFn(beam.DoFn):
    """(WindowKey, at once?) -> WindowKey, for each firing of the window: at the watermark, at once, and for late data.

    A timer and no GroupByKey with triggers: the window's batches are in the archive, so there is nothing to group; both ways of
    firing pass the same key in turn; and the two branches that a trigger would need are more than some runners can fuse.
    """

    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[WindowKey, bool],
        window: Any = beam.DoFn.WindowParam,
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[WindowKey]:
        key, at_once = element
        if at_once:
            yield key
        else:
            due.set(window.max_timestamp())  # in the past for late data: then it fires at once

    @on_timer(DUE)
    def fire(self, key: Any = beam.DoFn.KeyParam) -> Iterator[WindowKey]:
        yield key


class FireWindows(beam.PTransform):
    """(WindowKey, at once?) -> keys of windows to build; a key may come again."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def expand(self, written: beam.PCollection) -> beam.PCollection:
        late_seconds = self.settings.late_ns / SECOND
        return (
            written
            | "WindowByRecordTime"
            >> beam.WindowInto(FixedWindows(self.settings.window_ns / SECOND), allowed_lateness=late_seconds)
            | "FireByJobAndWindow" >> beam.ParDo(FireFn()).with_output_types(WindowKey)
        )


class RememberFn(beam.DoFn):
    """(WindowKey, at once?) -> one object of JSON a bundle, in a folder where the local runner finds it after the run."""

    def __init__(self, settings: Settings, folder: str) -> None:
        self.settings = settings
        self.folder = folder

    def setup(self) -> None:
        self.store = open_objects(self.settings.warehouse)

    def start_bundle(self) -> None:
        self.keys: dict[WindowKey, bool] = {}

    def process(self, written: tuple[WindowKey, bool]) -> None:
        key, at_once = written
        self.keys[key] = at_once or self.keys.get(key, False)

    def finish_bundle(self) -> None:
        if self.keys:
            data = json.dumps([[*key, at_once] for key, at_once in sorted(self.keys.items())]).encode()
            self.store.put(f"{self.folder}/{hashlib.sha256(data).hexdigest()}.json", data)

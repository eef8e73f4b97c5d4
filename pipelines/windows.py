"""When a window is built: at the watermark, for late data, and at once where a job stopped or crashed."""

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

OPEN = "open"


class HoldOpenFn(beam.DoFn):
    """Keys of windows that are due; on the local runner, those still open go to the output `open`.

    A bounded run ends with the watermark at infinity, which fires every window: fire_before_ns says what is really over.
    A stop or crash builds its window at once, whenever that is.
    """

    def __init__(self, settings: Settings) -> None:
        self.fire_before_ns = settings.fire_before_ns
        self.window_ns = settings.window_ns

    def process(self, fired: tuple[WindowKey, bool]) -> Iterator[Any]:
        key, at_once = fired
        if not at_once and self.fire_before_ns is not None and key[1] + self.window_ns > self.fire_before_ns:
            yield beam.pvalue.TaggedOutput(OPEN, key)
        else:
            yield key


class RememberOpenFn(beam.DoFn):
    """Writes the keys of open windows where the local runner finds them after the run: state/open/<plan>/."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def setup(self) -> None:
        self.store = open_objects(self.settings.warehouse)

    def start_bundle(self) -> None:
        self.keys: set[WindowKey] = set()

    def process(self, key: WindowKey) -> None:
        self.keys.add(key)

    def finish_bundle(self) -> None:
        if self.keys:
            data = json.dumps(sorted(self.keys)).encode()
            self.store.put(f"state/open/{self.settings.plan}/{hashlib.sha256(data).hexdigest()}.json", data)


class FireFn(beam.DoFn):
    """(WindowKey, at once?) -> the same, for each firing of the window: at the watermark, at once, and for late data.

    A timer and no GroupByKey with triggers: the window's batches are in the archive, so there is nothing to group; both ways of
    firing pass the same key in turn; and the two branches that a trigger would need are more than some runners can fuse.
    """

    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[WindowKey, bool],
        window: Any = beam.DoFn.WindowParam,
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[tuple[WindowKey, bool]]:
        key, at_once = element
        if at_once:
            yield key, True
        else:
            due.set(window.max_timestamp())  # in the past for late data: then it fires at once

    @on_timer(DUE)
    def fire(self, key: Any = beam.DoFn.KeyParam) -> Iterator[tuple[WindowKey, bool]]:
        yield key, False


class FireWindows(beam.PTransform):
    """(WindowKey, at once?) -> keys of windows to build; a key may come again."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def expand(self, written: beam.PCollection) -> beam.PCollection:
        settings = self.settings
        held = (
            written
            | "WindowByRecordTime"
            >> beam.WindowInto(FixedWindows(settings.window_ns / SECOND), allowed_lateness=settings.late_ns / SECOND)
            | "FireByJobAndWindow" >> beam.ParDo(FireFn()).with_output_types(tuple[WindowKey, bool])
            | "HoldOpen" >> beam.ParDo(HoldOpenFn(settings)).with_outputs(OPEN, main="due")
        )
        _ = held[OPEN] | "RememberOpen" >> beam.ParDo(RememberOpenFn(settings))
        return held.due

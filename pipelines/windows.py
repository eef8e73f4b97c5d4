"""When a window is built: at the watermark, for late data, and at once where a job stopped or crashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import FixedWindows, GlobalWindows

from tracewinnow.pipelines.options import SECOND, Settings
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.stores.objects import open_objects

OPEN = "open"


class HoldOpenFn(beam.DoFn):
    """Keys of windows that are due; on the local runner, those still open go to the output `open`.

    A bounded run ends with the watermark at infinity, which fires every window: fire_before_ns says what is really over.
    """

    def __init__(self, settings: Settings) -> None:
        self.fire_before_ns = settings.fire_before_ns
        self.window_ns = settings.window_ns

    def process(self, grouped: tuple[WindowKey, Any]) -> Iterator[Any]:
        key, _ = grouped
        if self.fire_before_ns is not None and key[1] + self.window_ns > self.fire_before_ns:
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


class FireWindows(beam.PTransform):
    """(WindowKey, count of batches), and keys that are due at once -> keys of windows to build, each at least once."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def expand(self, inputs: tuple[beam.PCollection, beam.PCollection]) -> beam.PCollection:
        written, now = inputs
        settings = self.settings
        held = (
            written
            | "WindowByRecordTime"
            >> beam.WindowInto(
                FixedWindows(settings.window_ns / SECOND),
                trigger=AfterWatermark(late=AfterCount(1)),
                accumulation_mode=AccumulationMode.DISCARDING,
                allowed_lateness=settings.late_ns / SECOND,
            )
            | "GroupByJobAndWindow" >> beam.GroupByKey()
            | "HoldOpen" >> beam.ParDo(HoldOpenFn(settings)).with_outputs(OPEN, main="due")
        )
        held.due.element_type = held[OPEN].element_type = WindowKey
        due = held.due | "DueToGlobal" >> beam.WindowInto(GlobalWindows())
        _ = held[OPEN] | "RememberOpen" >> beam.ParDo(RememberOpenFn(settings))
        # Redistributed: a window is built after the bundle that archived it is done, and not by its thread.
        at_once = now | "BuildElsewhere" >> beam.Reshuffle()
        return (due, at_once) | "AllDue" >> beam.Flatten()

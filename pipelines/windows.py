"""When a window is built: at the watermark, for late data, and at once where a job stopped or crashed.

A streaming runner keeps the windows itself, by this step; the local one has them written down (planned.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import TimerSpec, on_timer
from apache_beam.transforms.window import FixedWindows

from tracewinnow.pipelines.options import SECOND, Settings
from tracewinnow.pipelines.records import WindowKey


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

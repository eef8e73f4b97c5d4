"""The step that archives, on its own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from apache_beam.transforms.window import FixedWindows, WindowFn

from tests.pipelines.feed import new_process
from tracewinnow.pipelines.archive import ArchiveFn
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import Accepted
from tracewinnow.stores.archive import Archive
from tracewinnow.stores.objects import open_objects


def test_copies_are_dropped_and_other_contents_of_a_name_kept(tmp_path: Path) -> None:
    settings, process, now = Settings(str(tmp_path)), new_process(), time.time_ns()
    start = now - now % settings.window_ns
    step = ArchiveFn(settings)
    step.setup()
    step.start_bundle()
    for i in range(20_000):  # with a comparison of each with each other this would take minutes
        step.process(Accepted("j", start, process, 0, now, b"content %05d" % (i // 2), False))
    assert step.total == 10_000 * len(b"content 00000")
    list(step.finish_bundle())
    step.teardown()
    window = Archive(open_objects(str(tmp_path))).read("j", start)
    assert (len(window.batches), len(window.conflicts)) == (1, 9_999)


HOUR_NS = 3600 * 10**9


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("hours", [0, 2, 13, 30, 72, 24 * 365])
def test_no_runner_may_drop_a_key_as_late(tmp_path: Path, hours: int, closes: bool) -> None:
    """A runner drops what is in a window that ended more than the allowed lateness ago, by a watermark that is now at the most."""
    settings, now = Settings(str(tmp_path)), time.time_ns()
    created = now - hours * HOUR_NS
    start = created - created % settings.window_ns
    step = ArchiveFn(settings)
    step.setup()
    step.start_bundle()
    step.process(Accepted("j", start, new_process(), 0, created, b"x", closes))
    (found,) = step.finish_bundle()
    step.teardown()
    assert found.value == (("j", start), closes or hours > 12)
    (window,) = FixedWindows(settings.window_ns / 10**9).assign(WindowFn.AssignContext(found.timestamp, found.value))
    assert window.end.micros * 1000 + settings.late_ns > now + HOUR_NS
    if hours < 12:  # what sets a timer stands in its own window
        assert window.start.micros * 1000 == start

"""The step that archives, on its own."""

from __future__ import annotations

import time
from pathlib import Path

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

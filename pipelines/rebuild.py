"""Everything again from the archive: after a better model, a mended stage, or a lost table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam

from tracewinnow.pipelines import graph
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.pipelines.run import Prepared, submit
from tracewinnow.schemas.errors import BadUse
from tracewinnow.stores.archive import Archive
from tracewinnow.stores.objects import open_objects

RUN_WINDOWS = 200


def windows(settings: Settings, job_id: str | None) -> Iterator[WindowKey]:
    """Keys of all archived windows, or those of one job. Raises BadUse for a job that has none."""
    archive = Archive(open_objects(settings.warehouse))
    if job_id is not None:
        starts = archive.windows(job_id)
        if not starts:
            raise BadUse(f"the archive of {settings.warehouse} has nothing of job {job_id!r}")
        yield from ((job_id, start) for start in starts)
        return
    for job in sorted(archive.jobs()):
        yield from ((job, start) for start in archive.windows(job))


_due: list[WindowKey] = []  # what DueFn gives next


class DueFn(beam.DoFn):
    """Impulse -> WindowKey, the windows that BuildHere was asked for: a graph in this process looks them up when it runs."""

    def process(self, impulse: bytes) -> Iterator[WindowKey]:
        yield from _due


class BuildHere:
    """The graph behind the archive, for many runs in this process. One a process; not safe for use in many threads."""

    def __init__(self, settings: Settings) -> None:
        def construct(pipeline: beam.Pipeline) -> None:
            run = pipeline | "Run" >> beam.Impulse()
            graph.build(run | "WindowsDue" >> beam.ParDo(DueFn()).with_output_types(WindowKey), settings)

        self.prepared = Prepared(construct)

    def build(self, keys: Sequence[WindowKey]) -> dict[str, int]:
        """Build windows; blocks, and returns the counters. Raises what a step raised."""
        _due[:] = keys
        return self.prepared.run()


def construct(pipeline: beam.Pipeline, keys: Sequence[WindowKey], settings: Settings) -> None:
    """The graph behind the archive, for another runner."""
    due = (
        pipeline
        | "WindowsDue" >> beam.Create(list(keys)).with_output_types(WindowKey)
        | "SpreadWindows" >> beam.Reshuffle()
    )
    graph.build(due, settings)


def rebuild(keys: Sequence[WindowKey], settings: Settings, report: Callable[[int, dict[str, int]], None]) -> None:
    """Build the windows again, here; blocks. Repeatable at any point: the same input gives the same names and bytes."""
    here = BuildHere(settings)
    for first in range(0, len(keys), RUN_WINDOWS):
        chosen = keys[first : first + RUN_WINDOWS]
        report(len(chosen), here.build(chosen))


def submit_rebuild(runner: str, keys: Sequence[WindowKey], settings: Settings, arguments: Sequence[str]) -> str:
    """One job of another runner over all windows."""
    return submit(runner, lambda pipeline: construct(pipeline, keys, settings), arguments)

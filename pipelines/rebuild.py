"""Everything again from the archive: after a better model, a mended stage, or a lost table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam

from tracewinnow.pipelines import graph
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.pipelines.run import run_here, submit
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


def construct(pipeline: beam.Pipeline, keys: Sequence[WindowKey], settings: Settings) -> None:
    """The graph behind the archive."""
    due = (
        pipeline
        | "WindowsDue" >> beam.Create(list(keys)).with_output_types(WindowKey)
        | "SpreadWindows" >> beam.Reshuffle()
    )
    graph.build(due, settings)


def rebuild(keys: Sequence[WindowKey], settings: Settings, report: Callable[[int, dict[str, int]], None]) -> None:
    """Build the windows again, here; blocks. Repeatable at any point: the same input gives the same names and bytes."""
    for first in range(0, len(keys), RUN_WINDOWS):
        chosen = keys[first : first + RUN_WINDOWS]
        counters = run_here(lambda pipeline, chosen=chosen: construct(pipeline, chosen, settings))  # type: ignore[misc]
        report(len(chosen), counters)


def submit_rebuild(runner: str, keys: Sequence[WindowKey], settings: Settings, arguments: Sequence[str]) -> str:
    """One job of another runner over all windows."""
    return submit(runner, lambda pipeline: construct(pipeline, keys, settings), arguments)

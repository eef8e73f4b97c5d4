"""Backfill: files through the same graph, in bounded runs that are ticked off, so that a broken one goes on where it was."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import apache_beam as beam

from tracewinnow.pipelines import file_state, graph
from tracewinnow.pipelines.file_source import DAMAGED_FILES, UNREAD_FILES, ReadFileFn, carried
from tracewinnow.pipelines.file_state import State
from tracewinnow.pipelines.files import Task, printable
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.run import run_here, submit
from tracewinnow.schemas.errors import BadInput
from tracewinnow.stores.objects import ObjectStore, open_objects

LOG = logging.getLogger(__name__)
STATE = "state/backfill.json"
RUN_BYTES = 128 << 20  # of input in one run: what is done again after a kill


def done_before(store: ObjectStore) -> State:
    """What is remembered of the files that are in, or were begun."""
    return json.loads(store.get(STATE)) if store.exists(STATE) else {}


def plan(paths: Sequence[Path], job_id: str | None, done: State, again: bool) -> tuple[list[Task], list[str]]:
    """Tasks still to do, and a sentence for each file that cannot be read. A file that has grown goes on at its old end.

    again: first what was done is done once more, range by range as it was, so that it gives the same batches.
    """
    tasks: list[Task] = []
    refused: list[str] = []
    for path in paths:
        try:
            found = file_state.to_do(path, job_id, done.get(str(path.resolve())), again)
        except BadInput as bad:
            refused.append(bad.reason)
            continue
        except OSError as failed:
            refused.append(f"{path}: {failed.strerror or failed}")
            continue
        tasks += found
    return tasks, refused


def groups(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Tasks of one run: about RUN_BYTES of input."""
    held: list[Task] = []
    size = 0
    for task in tasks:
        held.append(task)
        size += task.stop - task.start
        if size >= RUN_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def construct(pipeline: beam.Pipeline, tasks: Sequence[Task], settings: Settings) -> None:
    """The graph over tasks."""
    records = (
        pipeline
        | "Files" >> beam.Create([carried(task) for task in tasks])
        | "SpreadFiles" >> beam.Reshuffle()
        | "ReadFiles" >> beam.ParDo(ReadFileFn(settings))
    )
    graph.whole(records, settings)


def backfill(
    tasks: Sequence[Task],
    settings: Settings,
    report: Callable[[list[Task], dict[str, int]], None],
    damaged: Callable[[str], None] = LOG.warning,
) -> None:
    """Run all tasks here, group by group; blocks. Raises what a step raised: what was ticked off stays so.

    damaged: called with the reason of a dead letter for each file that is not whole, before the report of its group.
    """
    store = open_objects(settings.warehouse)
    done = done_before(store)
    broken: set[str] = set()  # files that are left alone: the rest of one must not tick off what was not read of it
    for planned in groups(tasks):
        group = [task for task in planned if printable(task.path) not in broken]
        if not group:
            report(planned, {})
            continue
        file_state.begin(done, group)
        _put(store, done)
        told: dict[str, set[str]] = {}
        counters = run_here(lambda pipeline, group=group: construct(pipeline, group, settings), told)  # type: ignore[misc]
        unread = told.get(UNREAD_FILES, set())
        replaced = file_state.finish(done, (task for task in group if printable(task.path) not in unread))
        broken |= unread | set(map(printable, replaced))
        _put(store, done)
        told.setdefault(DAMAGED_FILES, set()).update(
            f"{printable(path)} was replaced while it was read: run the same command again" for path in replaced
        )
        for reason in sorted(told[DAMAGED_FILES]):
            damaged(reason)
        report(planned, counters)


def _put(store: ObjectStore, state: State) -> None:
    store.put(STATE, json.dumps(state, sort_keys=True).encode())


def submit_backfill(runner: str, tasks: Sequence[Task], settings: Settings, arguments: Sequence[str]) -> str:
    """One job of another runner over all tasks; its workers must see the same files."""
    return submit(runner, lambda pipeline: construct(pipeline, tasks, settings), arguments)

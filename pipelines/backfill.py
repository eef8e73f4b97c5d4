"""Backfill: files through the same graph, in bounded runs that are ticked off, so that a broken one goes on where it was."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam

from tracewinnow.pipelines import files, graph
from tracewinnow.pipelines.file_source import DAMAGED_FILES, ReadFileFn
from tracewinnow.pipelines.files import Task
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.run import run_here, submit
from tracewinnow.schemas.errors import BadInput
from tracewinnow.stores.objects import ObjectStore, open_objects

LOG = logging.getLogger(__name__)
STATE = "state/backfill.json"
RUN_BYTES = 128 << 20  # of input in one run: what is done again after a kill


def done_before(store: ObjectStore) -> dict[str, dict[str, Any]]:
    """path -> {"head", "seen", "size", "base_ns"} of files that are in: of `seen` bytes `size`, the rest being half a line."""
    return json.loads(store.get(STATE)) if store.exists(STATE) else {}


def plan(
    paths: Sequence[Path], job_id: str | None, done: dict[str, dict[str, Any]], again: bool
) -> tuple[list[Task], list[str]]:
    """Tasks still to do, and a sentence for each file that cannot be read. A file that has grown goes on at its old end."""
    tasks: list[Task] = []
    refused: list[str] = []
    for path in paths:
        known = None if again else done.get(str(path.resolve()))
        try:
            found = list(files.tasks(path, job_id))
            if known and found:
                found = _rest(path, job_id, known, found)
        except BadInput as bad:
            refused.append(bad.reason)
            continue
        except OSError as failed:
            refused.append(f"{path}: {failed.strerror or failed}")
            continue
        tasks += found
    return tasks, refused


def _rest(path: Path, job_id: str | None, known: dict[str, Any], whole: list[Task]) -> list[Task]:
    """What is still to do of a file that was read before. known: its entry in the state; whole: the tasks of all of it."""
    seen = known.get("seen", known["size"])
    if known["head"] != files.head_of(path, seen):
        return whole  # another file in its place
    if path.stat().st_size == seen:
        return []
    rest = list(files.tasks(path, job_id, done=known["size"], base_ns=known["base_ns"]))
    if rest and not rest[0].cut and rest[0].kind != "outbox":
        LOG.warning("%s has changed since it was read, and is read whole again: lines of it may stand twice", path)
    return rest


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
        | "Files" >> beam.Create([tuple(task) for task in tasks])
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
    ends = {task.path: task.stop for task in sorted(tasks, key=lambda task: task.stop)}
    for group in groups(tasks):
        told: dict[str, set[str]] = {}
        counters = run_here(lambda pipeline, group=group: construct(pipeline, group, settings), told)  # type: ignore[misc]
        for task in group:
            seen = max(task.stop, done.get(task.path, {}).get("seen", 0))
            # The rest of a line that is being written comes later: then the line is read again, whole.
            size = files.whole_lines(task.path, seen) if task.cut and seen == ends[task.path] else seen
            head = files.head_of(Path(task.path), seen)
            done[task.path] = {"head": head, "seen": seen, "size": size, "base_ns": task.base_ns}
        store.put(STATE, json.dumps(done, sort_keys=True).encode())
        for reason in sorted(told.get(DAMAGED_FILES, ())):
            damaged(reason)
        report(group, counters)


def submit_backfill(runner: str, tasks: Sequence[Task], settings: Settings, arguments: Sequence[str]) -> str:
    """One job of another runner over all tasks; its workers must see the same files."""
    return submit(runner, lambda pipeline: construct(pipeline, tasks, settings), arguments)

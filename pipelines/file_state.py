"""What is remembered of files that were read, so that the same ranges are read again and the rest of a file that has grown.

The state is {path: entry}. An entry says what is in, and under "next" what it will say when the run in hand is done. "next" is
written before the run: a run that was broken off may have left results, so exactly its ranges are read again, not others that
overlap them.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tracewinnow.pipelines import files
from tracewinnow.pipelines.file_source import last_time
from tracewinnow.pipelines.files import Task
from tracewinnow.schemas.validate import in_time

LOG = logging.getLogger(__name__)
State = dict[str, dict[str, Any]]


class Range(NamedTuple):
    """What a task read of a file; see Task."""

    start: int
    stop: int
    end: int
    base_ns: int


class Known(NamedTuple):
    """A file of which `seen` bytes were read. size: to where the last whole line goes. head and tail: files.head_of, files.tail_of.

    tail is "" where it was not remembered. ranges: of what cannot be cut only the last that was read.
    """

    run: str
    head: str
    tail: str
    seen: int
    size: int
    base_ns: int
    ranges: tuple[Range, ...]

    def entry(self) -> dict[str, Any]:
        """As it stands in the state."""
        return self._asdict()

    def has(self, task: Task) -> bool:
        """Whether the task reads a range again that was read before."""
        return self.run == task.run and any(task[3:5] == one[:2] for one in self.ranges)

    def with_task(self, task: Task) -> Known:
        """What is known when the task is done as well. Raises OSError."""
        if self.has(task):
            return self
        path = Path(task.path)
        before = self if self.run == task.run else _nothing(task)
        seen = max(before.seen, task.stop)
        # The rest of a line that is being written comes later: then the line is read again, whole.
        size = files.whole_lines(task.path, seen) if task.cut and seen == task.end else seen
        ranges = (*(before.ranges if task.cut else ()), Range(task.start, task.stop, task.end, task.base_ns))
        return Known(task.run, files.head_of(path, seen), files.tail_of(path, seen), seen, size, before.base_ns, ranges)

    def is_still(self, path: Path) -> bool:
        """Whether the file has what was read of it, and perhaps more. Raises OSError."""
        if path.stat().st_size < self.seen or files.head_of(path, self.seen) != self.head:
            return False
        return not self.tail or files.tail_of(path, self.seen) == self.tail


def _nothing(task: Task) -> Known:
    return Known(task.run, "", "", 0, 0, task.base_ns, ())


def known_of(entry: dict[str, Any] | None, task: Task) -> Known | None:
    """What an entry says is in; None for nothing. task: one of the file, which says how it is cut."""
    if not entry or "size" not in entry:  # nothing, or what was begun alone
        return None
    if "ranges" in entry:
        ranges = tuple(Range(*one) for one in entry["ranges"])
        return Known(**{name: entry[name] for name in Known._fields if name != "ranges"}, ranges=ranges)
    # As earlier versions wrote it: the file was read in one go, unless it had grown.
    size, base_ns = entry["size"], entry["base_ns"]
    seen = entry.get("seen", size)
    if not in_time(base_ns, base_ns + seen, time.time_ns()):
        base_ns = task.base_ns  # all that had this time was refused
    step = files.RANGE_BYTES if task.cut and task.kind == "plain" else max(1, seen)
    end = seen if size < seen else max(seen, task.end)
    ranges = tuple(Range(start, min(seen, start + step), end, base_ns) for start in range(0, seen, step))
    return Known(entry["head"], entry["head"], "", seen, size, base_ns, ranges)


def to_do(path: Path, job_id: str | None, entry: dict[str, Any] | None, again: bool) -> list[Task]:
    """The tasks of a file of which the state says `entry`. again: also those that are done. Raises OSError, BadInput."""
    whole = list(files.tasks(path, job_id))
    if not whole or not entry:
        return whole
    done, begun = known_of(entry, whole[0]), known_of(entry.get("next"), whole[0])
    known = begun or done
    if known is None:
        return whole
    if not known.is_still(path):
        return _as_another(path, known, whole)
    grown = whole[0].end > known.seen
    if grown and not whole[0].cut:
        if whole[0].kind != "outbox":  # whose batches have names of their own
            LOG.warning("%s has changed since it was read, and is read whole again: lines of it may stand twice", path)
        return [task._replace(run=known.run) for task in whole]
    repeated = [
        whole[0]._replace(start=one.start, stop=one.stop, end=one.end, base_ns=one.base_ns, run=known.run)
        for one in known.ranges
    ]
    if not again:
        repeated = [task for task in repeated if done is None or not done.has(task)]
    return repeated + (_rest(path, job_id, known, whole[0].kind) if grown else [])


def _as_another(path: Path, known: Known, whole: list[Task]) -> list[Task]:
    """All of a file that took the place of the one that is known, under a name of its own even where it begins alike."""
    end = whole[0].end
    head = files.head_of(path, end)
    if whole[0].kind != "outbox" and files.head_of(path, min(end, known.seen)) == known.head:
        LOG.warning(
            "%s begins as the file that was read before but is another: it is read whole, beside that one", path
        )
    run = hashlib.sha256("\0".join((known.run, head, files.tail_of(path, end), str(end))).encode()).hexdigest()
    return [task._replace(run=run) for task in whole]


def _rest(path: Path, job_id: str | None, known: Known, kind: str) -> list[Task]:
    """What was written to a file since."""
    base_ns = known.base_ns
    if kind == "json":  # what has no time stands behind the row before it
        base_ns = last_time(str(path), known.size, base_ns)
    return list(files.tasks(path, job_id, known.size, base_ns, known.run))


def begin(state: State, tasks: Iterable[Task]) -> None:
    """Note in the state what a run sets out to read. A file that is not there any more is left out: reading it says so."""
    for task in tasks:
        entry = state.get(task.path, {})
        begun = entry.get("next") or (entry if _same_run(entry, task) else None)
        try:
            before = known_of(begun, task) or _nothing(task)
            entry = {**entry, "next": before.with_task(task).entry()}
        except OSError:
            continue
        state[task.path] = entry


def _same_run(entry: dict[str, Any], task: Task) -> bool:
    return entry.get("run", entry.get("head")) == task.run


def finish(state: State, tasks: Iterable[Task]) -> list[str]:
    """Tick off what a run has read; -> paths of the files that were replaced meanwhile, which are not ticked off."""
    replaced = []
    for task in {task.path: task for task in tasks}.values():
        known = known_of(state.get(task.path, {}).get("next"), task)
        if known is None:
            continue
        try:
            whole = known.is_still(Path(task.path))
        except OSError:
            continue  # it is gone, which reading it has told
        if whole:
            state[task.path] = known.entry()
        else:
            replaced.append(task.path)
    return replaced

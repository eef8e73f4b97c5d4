"""Questions to the warehouse: which jobs there are, how they ended, and their traces."""

from __future__ import annotations

import difflib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tracewinnow.schemas.errors import BadUse, TracewinnowError
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.serving.damage import unreadable
from tracewinnow.serving.holes import Hole, Unread, find_holes
from tracewinnow.stores.errors import CorruptObject, NotFound
from tracewinnow.stores.objects import open_objects
from tracewinnow.stores.traces import made_again, read_trace, trace_object

STATES = ("running", "stopped", "crashed", "lost contact", "imported")
SILENCE_NS = 600 * 1_000_000_000  # a job that said nothing for so long, and never that it ended, is lost


class UnknownJob(TracewinnowError):
    """No job of that name, or more than one; the message names what is near."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all the windows of a job tell together. Times are Unix nanoseconds, 0 where unknown."""

    job_id: str
    state: str  # of STATES
    started_ns: int
    ended_ns: int
    first_time_ns: int
    last_time_ns: int
    exit_code: int | None
    reason: str
    accelerator: str
    model: str
    user: str
    world_size: int
    windows: int
    lines: int
    tokens_before: int
    tokens_after: int
    ranks: tuple[int, ...] = ()  # seen
    holes: tuple[Hole, ...] = ()

    @property
    def begun_ns(self) -> int:
        """When it started, or was first heard of."""
        return self.started_ns or self.first_time_ns

    @property
    def lasted_ns(self) -> int:
        """Until its end, or until it was last heard of; 0 where unknown."""
        until = self.ended_ns if self.state in ("stopped", "crashed") else self.last_time_ns
        return max(until - self.begun_ns, 0) if self.begun_ns else 0


def state_of(outcome: str, started_ns: int, ended_ns: int, last_time_ns: int, now_ns: int) -> str:
    """The state of a job; one that started again after its end goes on."""
    if outcome and started_ns <= ended_ns:
        return outcome
    return "running" if now_ns - last_time_ns < SILENCE_NS else "lost contact"


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """The names that were probably meant, best first."""
    inside = [job for job in known if name.lower() in job.lower()][:5]
    return inside or difflib.get_close_matches(name, known, n=5, cutoff=0.4)


# The views hold the newest revision of each window. A crash counts more than a stop; the earliest reason is the cause.
_JOBS = """
WITH size AS (
  SELECT job_id, count(DISTINCT window_start_ns) AS windows, sum(lines_before) AS lines,
         sum(tokens_before) AS tokens_before, sum(tokens_after) AS tokens_after
  FROM traces WHERE $job IS NULL OR job_id = $job GROUP BY job_id
),
told AS (
  SELECT job_id, min(outcome) FILTER (outcome <> '') AS outcome,
         coalesce(max(started_ns), 0) AS started_last,
         coalesce(min(started_ns) FILTER (started_ns > 0), 0) AS started_ns,
         coalesce(max(ended_ns), 0) AS ended_ns,
         coalesce(min(first_time_ns) FILTER (first_time_ns > 0), 0) AS first_time_ns,
         greatest(coalesce(max(last_time_ns), 0), max(window_start_ns)) AS last_time_ns,
         CASE min(outcome) FILTER (outcome <> '')
           WHEN 'crashed' THEN arg_min(exit_code, window_start_ns) FILTER (outcome = 'crashed' AND exit_code IS NOT NULL)
           ELSE coalesce(arg_min(exit_code, window_start_ns) FILTER (exit_code <> 0), min(exit_code))
         END AS exit_code,
         arg_min(reason, window_start_ns) FILTER (reason <> '') AS reason,
         max(accelerator) AS accelerator, max(model) AS model, max("user") AS "user",
         coalesce(max(world_size), 0) AS world_size
  FROM jobs WHERE $job IS NULL OR job_id = $job GROUP BY job_id
)
SELECT told.*, size.* EXCLUDE job_id FROM told LEFT JOIN size USING (job_id) ORDER BY last_time_ns DESC, job_id
"""
_PROCESSES = """
SELECT job_id, p.process_uuid, coalesce(p."rank", -1), p."first", p."last"
FROM (SELECT job_id, unnest(processes) AS p FROM jobs WHERE list_contains(?, job_id))
"""
_TRACES = "SELECT DISTINCT window_start_ns, part, revision FROM traces WHERE job_id = ? ORDER BY ALL"
_CONTAINERS = """
SELECT window_start_ns, part, container, container_uri FROM traces
WHERE job_id = ? AND (octet_length(container) > 0 OR container_uri <> '') ORDER BY ALL
"""
_LEFT_OUT = """
SELECT note.reason, count(*) FROM (SELECT unnest(notes) AS note FROM traces WHERE job_id = ?)
WHERE note.stage = 'compress' GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 20
"""


def _job(told: dict[str, Any], ranges: list[tuple[str, int, int, int]]) -> Job:
    """A row of _JOBS with what its processes tell."""
    for name in ("reason", "accelerator", "model", "user"):
        told[name] = told[name] or ""
    for name in ("windows", "lines", "tokens_before", "tokens_after"):
        told[name] = int(told[name] or 0)
    ranks = tuple(sorted({rank for _, rank, _, _ in ranges if rank >= 0}))
    return Job(**told, ranks=ranks, holes=tuple(find_holes(ranges)))


class Warehouse:
    """The warehouse at `uri`: a folder or gs://bucket/prefix. Every method blocks on it.

    Raises BadUse where there is no warehouse, Transient and StoreError as its store does, and TracewinnowError, which names the
    files and what makes them again, where tables are damaged.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.store = open_objects(uri)
        if not any(True for _ in self.store.folders()):
            raise BadUse(
                f"{uri} holds no warehouse. Give the folder that `tracewinnow stream` or `backfill` writes to "
                "with --warehouse, or set TRACEWINNOW_WAREHOUSE."
            )

    @cached_property
    def tables(self) -> Any:
        """A DuckDB connection with the views jobs, traces, segments and dead_letters."""
        from tracewinnow.stores.parquet_tables import connect

        with self._told():  # it looks into the first file of each table
            return connect(self.uri)

    @contextmanager
    def _told(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as failed:
            raise unreadable(self.store, self.uri, failed) from failed

    def _rows(self, sql: str, *of: Any) -> list[tuple[Any, ...]]:
        with self._told():
            found: list[tuple[Any, ...]] = self.tables.execute(sql, list(of)).fetchall()
            return found

    def jobs(
        self, state: str | None = None, limit: int | None = None, job_id: str | None = None, now_ns: int | None = None
    ) -> list[Job]:
        """Jobs, the one heard of last first; only those in `state`, only `job_id`, at most `limit`. now_ns: for tests."""
        now = time.time_ns() if now_ns is None else now_ns
        with self._told():
            cursor = self.tables.execute(_JOBS, {"job": job_id})
            names = [column[0] for column in cursor.description]
            found = cursor.fetchall()
        chosen: list[dict[str, Any]] = []
        for row in found:
            told = dict(zip(names, row, strict=True))
            begun, outcome = told.pop("started_last"), told.pop("outcome") or ""
            told["state"] = state_of(outcome, begun, told["ended_ns"], told["last_time_ns"], now)
            if state is None or told["state"] == state:
                chosen.append(told)
            if len(chosen) == limit:
                break
        ranges: defaultdict[str, list[tuple[str, int, int, int]]] = defaultdict(list)
        for job, *run in self._rows(_PROCESSES, [told["job_id"] for told in chosen]):
            ranges[job].append(tuple(run))
        return [_job(told, ranges[told["job_id"]]) for told in chosen]

    def job_ids(self) -> list[str]:
        """Every job, in the order of names."""
        return [row[0] for row in self._rows("SELECT DISTINCT job_id FROM jobs ORDER BY job_id")]

    def find(self, name: str) -> str:
        """The job that `name` means: its whole id, or the beginning of only one. Raises UnknownJob."""
        known = self.job_ids()
        if name in known:
            return name
        begun = [job for job in known if job.startswith(name)]
        if len(begun) == 1 and name:
            return begun[0]
        if begun and name:
            more = f" and {len(begun) - 5} more" if len(begun) > 5 else ""
            raise UnknownJob(f"{name!r} begins {len(begun)} jobs: {', '.join(begun[:5])}{more}. Give more of the name.")
        if not known:
            raise UnknownJob(f"No job {name!r}: {self.uri} holds no jobs yet.")
        near = nearest(name, known)
        hint = f"Did you mean {', '.join(near)}?" if near else f"{self.uri} holds {len(known)}; see `tracewinnow jobs`."
        raise UnknownJob(f"No job {name!r}. {hint}")

    def job(self, job_id: str) -> Job:
        """The summary of one job. Raises UnknownJob."""
        for found in self.jobs(job_id=job_id):
            return found
        raise UnknownJob(f"No job {job_id!r}.")

    def traces(
        self, job_id: str, line_classes: bool = True, unread: list[Unread] | None = None
    ) -> list[PreprocessedTrace]:
        """The newest trace of each window and part, in time order, without its numbers (see `containers`).

        Without line_classes they take a fraction of the memory. unread: takes the traces that are damaged or gone; without it
        the first of them raises TracewinnowError.
        """
        found = []
        for start, part, revision in self._rows(_TRACES, job_id):
            name = trace_object(job_id, start, revision, part)
            try:
                trace = read_trace(self.store, name)
            except (CorruptObject, NotFound) as lost:
                told = str(lost).rstrip(".") + f"; {made_again(name, self.uri)}"
                if unread is None:
                    raise TracewinnowError(told) from lost
                unread.append(Unread(start, part, told))
                continue
            trace.ClearField("container")
            if not line_classes:
                trace.ClearField("line_classes")
            found.append(trace)
        return found

    def revision(self, job_id: str, start_ns: int, part: int) -> int:
        """How many batches the newest stored trace of this window was made from; 0 where none is stored."""
        rows = self._rows(_TRACES, job_id)
        return max((revision for start, its, revision in rows if (start, its) == (start_ns, part)), default=0)

    def containers(self, job_id: str) -> Iterator[tuple[int, int, bytes]]:
        """(start of the window, part, container of its numbers) of the newest traces that have one, in time order."""
        with self._told():
            cursor = self.tables.cursor().execute(_CONTAINERS, [job_id])
        while True:
            with self._told():
                some = cursor.fetchmany(16)
            if not some:
                return
            for start, part, container, uri in some:
                yield start, part, self.store.get(uri) if uri else container

    def numbers_left_out(self, job_id: str) -> list[str]:
        """What the job's traces say about numbers that have no container, each once, with how many say so."""
        return [
            f"{reason} ({count} of its traces)" if count > 1 else reason
            for reason, count in self._rows(_LEFT_OUT, job_id)
        ]

    def dead_letters(self) -> dict[str, int]:
        """How many records were refused, by code."""
        rows = self._rows("SELECT code, count(*) FROM dead_letters GROUP BY code ORDER BY 2 DESC, 1")
        return dict(rows)

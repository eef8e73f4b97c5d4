"""Questions to the warehouse: which jobs there are, how they ended, and their traces."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

from tracewinnow.schemas.errors import BadUse, TracewinnowError
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.serving.damage import rebuild_command, unreadable
from tracewinnow.serving.holes import DAMAGED, NEVER_CAME, NOT_BUILT, Hole, Lack, find_holes, told_apart
from tracewinnow.serving.job import SILENCE_NS, state_of
from tracewinnow.serving.job import Job as Job
from tracewinnow.serving.lacking import Built, Failed, missing
from tracewinnow.serving.names import UnknownJob, meant
from tracewinnow.serving.queries import BUILT, CONTAINERS, FAILED, JOBS, LEFT_OUT, NAMELESS, PROCESSES, REFUSED, TRACES
from tracewinnow.serving.refused import refused_batches
from tracewinnow.serving.text import plain
from tracewinnow.stores.archive import Archive
from tracewinnow.stores.errors import CorruptObject, NotFound
from tracewinnow.stores.objects import open_objects
from tracewinnow.stores.traces import read_trace, trace_object

FOLDERS = frozenset(("archive", "traces", "tables", "state"))  # a stream that has just begun has but the last


class _Found(NamedTuple):
    """What is missing of a job, and its ranks, before the refused records are looked for."""

    ranks: tuple[int, ...]
    holes: tuple[Hole, ...]
    lacks: tuple[Lack, ...]


def _job(told: dict[str, Any], found: _Found) -> Job:
    """A row of JOBS with what is missing."""
    for name in ("reason", "accelerator", "model", "user"):
        told[name] = told[name] or ""
    for name in ("windows", "lines", "tokens_before", "tokens_after"):
        told[name] = int(told[name] or 0)
    return Job(**told, **found._asdict())


class Warehouse:
    """The warehouse at `uri`: a folder or gs://bucket/prefix. Every method blocks on it.

    Raises BadUse where there is no warehouse, Transient and StoreError as its store does, and TracewinnowError, which names the
    files and what makes them again, where tables are damaged.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.store = open_objects(uri)
        if FOLDERS.isdisjoint(self.store.folders()):
            raise BadUse(
                f"{uri} holds no warehouse. Give the folder that `tracewinnow stream` or `backfill` writes to "
                "with --warehouse, or set TRACEWINNOW_WAREHOUSE."
            )

    @property
    def archive(self) -> Archive:
        """Its raw telemetry."""
        return Archive(self.store)

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

    def _one_by_one(self, sql: str, *of: Any) -> Iterator[tuple[Any, ...]]:
        """Rows that are too large to be held all at once."""
        with self._told():
            cursor = self.tables.cursor().execute(sql, list(of))
        while True:
            with self._told():
                some = cursor.fetchmany(16)
            if not some:
                return
            yield from some

    def jobs(
        self, state: str | None = None, limit: int | None = None, job_id: str | None = None, now_ns: int | None = None
    ) -> list[Job]:
        """Jobs, the one heard of last first; only those in `state`, only `job_id`, at most `limit`. now_ns: for tests."""
        now = time.time_ns() if now_ns is None else now_ns
        with self._told():
            cursor = self.tables.execute(JOBS, {"job": job_id})
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
        missing = self._missing([told["job_id"] for told in chosen], now)
        return [_job(told, missing[told["job_id"]]) for told in chosen]

    def _missing(self, jobs: Sequence[str], now_ns: int) -> dict[str, _Found]:
        """What is missing of each job, but for what was refused."""
        built: defaultdict[str, dict[int, Built]] = defaultdict(dict)
        for job, start, part, of, end in self._rows(BUILT, jobs):
            window = built[job].setdefault(start, Built())
            window.parts.add(part)
            window.of, window.end_ns = max(window.of, of), max(window.end_ns, end)
        ranges: defaultdict[str, list[tuple[str, int, int, int]]] = defaultdict(list)
        for job, start, part, uuid, rank, first, last in self._rows(PROCESSES, jobs):
            ranges[job].append((uuid, rank, first, last))
            if start in built[job] and part in built[job][start].parts:
                built[job][start].ranges.add((uuid, first, last))
        failed: defaultdict[str, dict[int, Failed]] = defaultdict(dict)
        for topic, code, reason in self._rows(FAILED):
            job, _, start = topic.removeprefix("archive/").rpartition("/")
            if start.isdecimal():
                failed[job].setdefault(int(start), Failed(code, reason))
        return {job: self._missing_of(job, built[job], ranges[job], failed[job], now_ns) for job in jobs}

    def _missing_of(
        self,
        job_id: str,
        built: dict[int, Built],
        ranges: list[tuple[str, int, int, int]],
        failed: dict[int, Failed],
        now_ns: int,
    ) -> _Found:
        due_ns, command = now_ns - SILENCE_NS, rebuild_command(job_id, self.uri)
        left = missing(self.archive, job_id, built, failed, due_ns, command)
        known = dict.fromkeys(left.batches, NOT_BUILT)
        holes = told_apart(find_holes(ranges), known, DAMAGED if left.damaged else "")
        ranks = tuple(sorted({rank for _, rank, _, _ in ranges if rank >= 0}))
        return _Found(ranks, tuple(holes), tuple(left.lacks))

    def job_ids(self) -> list[str]:
        """Every job, in the order of names."""
        return [row[0] for row in self._rows("SELECT DISTINCT job_id FROM jobs ORDER BY job_id")]

    def unbuilt(self) -> list[str]:
        """Jobs that the archive holds and no table knows, in the order of names."""
        return sorted(set(self.archive.jobs()).difference(self.job_ids()))

    def find(self, name: str, archived: bool = False) -> str:
        """The job that `name` means: its whole id, or the beginning of only one. Raises UnknownJob.

        archived: a job of which nothing is built will do; without it TracewinnowError says what builds it.
        """
        built = self.job_ids()
        if name in built:
            return name
        found = meant(name, sorted({*built, *self.unbuilt()}), self.uri)
        if found not in built and not archived:
            raise TracewinnowError(
                f"Job {plain(found)} is archived, and nothing of it is built: `{rebuild_command(found, self.uri)}` builds it, "
                "where no running pipeline is about to. `tracewinnow lines` has its lines."
            )
        return found

    def job(self, job_id: str) -> Job:
        """The summary of one job, with the causes of its holes. Raises UnknownJob."""
        for found in self.jobs(job_id=job_id):
            return replace(found, holes=tuple(self._explained(found))) if found.holes else found
        raise UnknownJob(f"No job {plain(job_id)}.")

    def _explained(self, job: Job) -> Iterator[Hole]:
        refused = refused_batches(self._one_by_one(REFUSED, job.job_id), job.job_id)
        [(nameless,)] = self._rows(NAMELESS)
        return told_apart(job.holes, refused, "" if nameless else NEVER_CAME)

    def traces(
        self, job_id: str, line_classes: bool = True, unread: list[Lack] | None = None
    ) -> list[PreprocessedTrace]:
        """The newest trace of each window and part, in time order, without its numbers (see `containers`).

        Without line_classes they take a fraction of the memory. unread: takes the traces that are damaged or gone; without it
        the first of them raises TracewinnowError.
        """
        found = []
        for start, part, revision in self._rows(TRACES, job_id):
            name = trace_object(job_id, start, revision, part)
            try:
                trace = read_trace(self.store, name)
            except (CorruptObject, NotFound) as lost:
                told = self._again(job_id, lost)
                if unread is None:
                    raise TracewinnowError(told) from lost
                unread.append(Lack(start, part, "cannot be read", told))
                continue
            trace.ClearField("container")
            if not line_classes:
                trace.ClearField("line_classes")
            found.append(trace)
        return found

    def made_of(self, job_id: str, start_ns: int, part: int) -> list[tuple[str, int, int]]:
        """The batches that the newest stored trace of this window was made from: (process_uuid, first, last), in order."""
        rows = self._rows(PROCESSES, [job_id])
        return sorted(
            (uuid, first, last) for _, start, its, uuid, _, first, last in rows if (start, its) == (start_ns, part)
        )

    def containers(self, job_id: str) -> Iterator[tuple[int, int, bytes]]:
        """(start of the window, part, container of its numbers) of the newest traces that have one, in time order.

        Raises TracewinnowError for one that is gone; it says what makes it again.
        """
        for start, part, container, uri in self._one_by_one(CONTAINERS, job_id):
            try:
                yield start, part, self.store.get(uri) if uri else container
            except (CorruptObject, NotFound) as lost:
                raise TracewinnowError(self._again(job_id, lost)) from lost

    def _again(self, job_id: str, lost: Exception) -> str:
        return str(lost).rstrip(".") + f"; `{rebuild_command(job_id, self.uri)}` makes it again from the archive"

    def numbers_left_out(self, job_id: str) -> list[str]:
        """What the job's traces say about numbers that have no container, each once, with how many say so."""
        return [
            f"{reason} ({count} of its traces)" if count > 1 else reason
            for reason, count in self._rows(LEFT_OUT, job_id)
        ]

    def dead_letters(self) -> dict[str, int]:
        """How many records were refused, by code."""
        rows = self._rows("SELECT code, count(*) FROM dead_letters GROUP BY code ORDER BY 2 DESC, 1")
        return dict(rows)

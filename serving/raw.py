"""The raw lines of a window, read back from the archive and put in the order in which an answer numbers them."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np

from tracewinnow.schemas.errors import BadUse, TracewinnowError
from tracewinnow.serving.text import window_name as window_name
from tracewinnow.serving.warehouse import Warehouse
from tracewinnow.stores.archive import PART_BYTES, Archive, plan_parts
from tracewinnow.stores.errors import CorruptObject
from tracewinnow.transforms.assemble import assemble
from tracewinnow.transforms.trace import Series, Trace

CHART_BYTES = PART_BYTES
DIGITS = 20  # of a start: more is no time, and from some thousands on no number to Python


class NotArchived(TracewinnowError):
    """The archive does not hold what was asked for; the message says what it holds."""


def line_range(text: str) -> tuple[int, int]:
    """ "120-180" or "120" -> (120, 180) or (120, 120). Raises BadUse."""
    found = re.fullmatch(r"\s*([0-9]{1,18})(?:\s*-\s*([0-9]{1,18}))?\s*", text)
    if not found:
        raise BadUse(f"{text!r} is not a range of lines: give FIRST-LAST, such as 120-180, or one number")
    first, last = int(found[1]), int(found[2] or found[1])
    if first < 1 or last < first:
        raise BadUse(f"{text!r} is not a range of lines: they are numbered from 1, and the first is not after the last")
    return first, last


def find_window(archive: Archive, job_id: str, name: str | None, length_ns: int | None = None) -> int:
    """Start of the window that `name` means: the last that begins at or before this time. None: the only one.

    name: Unix nanoseconds, or ISO 8601 (UTC where it names no zone). length_ns: of a window, where known: a time after the end of
    the window is in none.

    Raises BadUse for a name that is no time, and NotArchived.
    """
    windows = archive.windows(job_id)
    if not windows:
        raise NotArchived(f"The archive holds nothing of job {job_id!r}.")
    if name is None:
        if len(windows) == 1:
            return windows[0]
        raise BadUse(f"Job {job_id!r} has {len(windows)} windows; choose one with --window: {_some(windows)}")
    if name.isascii() and name.isdigit() and len(name) <= DIGITS:
        wanted = int(name)
    else:
        try:
            moment = datetime.fromisoformat(name.strip().replace("Z", "+00:00").replace("z", "+00:00"))
        except ValueError:
            raise BadUse(f"{name[:80]!r} is not a window: give its start, such as {window_name(windows[-1])}") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        wanted = int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
    begun = [start for start in windows if start <= wanted]
    if not begun or (length_ns and wanted >= begun[-1] + length_ns):
        raise NotArchived(f"Job {job_id!r} has no window {name}. It has: {_some(windows)}")
    return begun[-1]


def _some(windows: list[int]) -> str:
    names = [window_name(start) for start in windows]
    return ", ".join(names if len(names) <= 8 else [*names[:4], "...", *names[-3:]])


def read_trace(
    archive: Archive, job_id: str, start_ns: int, part: int = 0, damaged: list[CorruptObject] | None = None
) -> Trace:
    """The trace of a window, or that part of it where it is too large for one; reads no other. Blocks.

    damaged: takes the errors of objects that cannot be read, and the trace is what the others hold.
    Raises BadUse for a part that is not there, NotArchived, CorruptObject.
    """
    entries = archive.index(job_id, start_ns, damaged=damaged)
    parts = plan_parts(entries)
    if not parts:
        nothing = "Nothing can be read" if damaged else "The archive holds nothing"
        raise NotArchived(f"{nothing} of job {job_id!r} in window {window_name(start_ns)}.")
    if part >= len(parts):
        has = "one part, number 0" if len(parts) == 1 else f"{len(parts)} parts, numbered from 0"
        raise BadUse(f"Window {window_name(start_ns)} of {job_id!r} has {has}; there is no part {part}")
    return assemble(
        (batch.data for batch in archive.read(job_id, start_ns, names=parts[part], damaged=damaged).batches),
        window_start_ns=start_ns,
        part=part,
        revision=len(entries),
    )


def series_of(warehouse: Warehouse, job_id: str, windows: Sequence[int]) -> tuple[list[Series], str]:
    """The numbers of a job, one Series a name, statistic and rank, from at most CHART_BYTES of its archive, newest first.

    Returns them with a sentence about what was left out, or "". Blocks.
    """
    archive = Archive(warehouse.store)
    room, read, found = CHART_BYTES, 0, []
    for start in sorted(set(windows), reverse=True):
        try:
            size = sum(entry.length for entry in archive.index(job_id, start))
            if not size or size > room:
                break
            found.append(read_trace(archive, job_id, start).series)
        except (NotArchived, CorruptObject):
            continue
        room -= size
        read += 1
    parts: defaultdict[tuple[str, str, int], list[Series]] = defaultdict(list)
    for one in itertools.chain.from_iterable(reversed(found)):
        parts[one.name, one.statistic, one.rank].append(one)
    joined = []
    for key, of in parts.items():
        steps, values, times = (
            np.concatenate([getattr(s, field) for s in of]) for field in ("steps", "values", "times_ns")
        )
        if key[1].startswith("memory"):  # has no steps of its own: readings are counted, in each window from 0
            steps = np.arange(len(steps))
        joined.append(Series(*key, steps, values, times))
    total = len(set(windows))
    return joined, "" if read == total else f"From the last {read} of {total} windows; the archive holds all."

"""The length of a warehouse's windows. It stands nowhere by itself: traces tell it, and what is archived can contradict it."""

from __future__ import annotations

import itertools
from contextlib import suppress

from tracewinnow.schemas.errors import BadUse
from tracewinnow.stores.archive import Archive
from tracewinnow.stores.errors import CorruptObject, NotFound
from tracewinnow.stores.objects import ObjectStore
from tracewinnow.stores.traces import read_trace

SECOND = 1_000_000_000
UNITS = (("d", 86400 * SECOND), ("h", 3600 * SECOND), ("m", 60 * SECOND), ("s", SECOND), ("ms", SECOND // 1000))
LOOKED_AT = 20  # traces, jobs; windows of each job


def window_length(store: ObjectStore) -> int | None:
    """Nanoseconds of the windows that the warehouse was begun with, by the earliest trace; None without one. Blocks."""
    for info in itertools.islice(store.list("traces/"), LOOKED_AT):
        with suppress(CorruptObject, NotFound):
            trace = read_trace(store, info.name)
            if trace.window_end_ns > trace.window_start_ns:
                return trace.window_end_ns - trace.window_start_ns
    return None


def check_window(store: ObjectStore, warehouse: str, window_ns: int) -> None:
    """Raises BadUse where the warehouse was begun with windows of another length, as far as it tells. Blocks."""
    begun = window_length(store)
    if begun is None and _fits(Archive(store), window_ns):
        begun = window_ns
    if begun == window_ns:
        return
    are = (
        f"are {spoken(begun)} long: give --window {spoken(begun)}" if begun else "are not: give what it was begun with"
    )
    raise BadUse(f"--window is {spoken(window_ns)}, but the windows of {warehouse} {are}, or another warehouse")


def _fits(archive: Archive, window_ns: int) -> bool:
    """Whether windows of the archive begin where those of this length do, and hold no record from beyond their end."""
    for job_id in itertools.islice(archive.jobs(), LOOKED_AT):
        for start in archive.windows(job_id)[:LOOKED_AT]:
            if start % window_ns:
                return False
            with suppress(CorruptObject):
                if any(entry.created_ns - start >= window_ns for entry in archive.index(job_id, start)):
                    return False
    return True


def spoken(length_ns: int) -> str:
    """A length as --window takes it: "60s", "5m", "1h"."""
    for unit, size in UNITS:
        if length_ns % size == 0 and length_ns != 60 * SECOND:
            return f"{length_ns // size}{unit}"
    return f"{length_ns / SECOND:g}s"

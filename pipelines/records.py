"""What a source hands to the graph, and what the graph hands from step to step."""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """One message as it was found. topic and partition of a file are its name and 0; offset is its place there."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Accepted(NamedTuple):
    """A valid batch on its way to the archive."""

    job_id: str
    window_start_ns: int
    process_uuid: str
    sequence: int
    created_ns: int
    data: bytes
    closes: bool  # a stop or crash is inside


WindowKey = tuple[str, int]  # (job_id, window_start_ns): the unit that is built


def window_start(created_ns: int, window_ns: int) -> int:
    """Start of the window that a record time falls into: a pure function, so that a copy meets its twin."""
    return created_ns - created_ns % window_ns

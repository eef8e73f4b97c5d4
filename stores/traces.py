"""How what is written for a trace is named."""

from __future__ import annotations

from tracewinnow.schemas.tables import date_of
from tracewinnow.stores.objects import escape


def trace_name(job_id: str, window_start_ns: int, revision: int, part: int) -> str:
    """Name of a trace's rows. With the revision in it no slow worker overwrites what a later one knew."""
    return f"{escape(job_id)}-{window_start_ns:020d}-r{revision:08d}-p{part:04d}"


def trace_object(job_id: str, window_start_ns: int, revision: int, part: int) -> str:
    """Name of the object that holds the trace whole."""
    return f"traces/dt={date_of(window_start_ns)}/{trace_name(job_id, window_start_ns, revision, part)}.binpb"


def container_object(job_id: str, window_start_ns: int, revision: int, part: int) -> str:
    """Name of the object that holds the numbers of a trace where they are too large to stand in it."""
    return f"containers/dt={date_of(window_start_ns)}/{trace_name(job_id, window_start_ns, revision, part)}.twc"

"""How what is written for a trace is named, and how it is read back."""

from __future__ import annotations

import re
import shlex

from google.protobuf.message import DecodeError

from tracewinnow.schemas.tables import date_of
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.errors import CorruptObject
from tracewinnow.stores.objects import ObjectStore, escape, unescape

# Of a trace's object and of its files in the tables; the group is the job.
NAME = re.compile(r"(?:.*/)?(?P<job>[^/]+)-\d{20}-r\d{8,}-p\d{4,}\.(?:binpb|parquet)")


def trace_name(job_id: str, window_start_ns: int, revision: int, part: int) -> str:
    """Name of a trace's rows. With the revision in it no slow worker overwrites what a later one knew."""
    return f"{escape(job_id)}-{window_start_ns:020d}-r{revision:08d}-p{part:04d}"


def trace_object(job_id: str, window_start_ns: int, revision: int, part: int) -> str:
    """Name of the object that holds the trace whole."""
    return f"traces/dt={date_of(window_start_ns)}/{trace_name(job_id, window_start_ns, revision, part)}.binpb"


def container_object(job_id: str, window_start_ns: int, revision: int, part: int) -> str:
    """Name of the object that holds the numbers of a trace where they are too large to stand in it."""
    return f"containers/dt={date_of(window_start_ns)}/{trace_name(job_id, window_start_ns, revision, part)}.twc"


def read_trace(store: ObjectStore, name: str) -> PreprocessedTrace:
    """The trace in an object. Blocks. Raises NotFound, and CorruptObject where it is no trace, or another than its name says."""
    data = store.get(name)
    try:
        trace = PreprocessedTrace.FromString(data)
        told = trace_object(trace.job_id, trace.window_start_ns, trace.revision, trace.part)
    except (DecodeError, ValueError, OverflowError, OSError):  # no message, or a time that no calendar has
        told = ""
    if told != name:
        reason = "it is not the trace that its name says" if told and data else "it is no trace"
        raise CorruptObject(name, reason if data else "it is empty")
    return trace


def job_of(name: str) -> str | None:
    """The job whose trace an object or a file of a table holds, by its name; None where the name does not tell."""
    found = NAME.fullmatch(name)
    return unescape(found["job"]) if found else None


def made_again(name: str, warehouse: str) -> str:
    """What makes an object of a trace or its rows again, in words."""
    job = job_of(name)
    which = ["--job", job] if job and job.isprintable() else []
    return (
        f"`{shlex.join(['tracewinnow', 'rebuild', *which, '--warehouse', warehouse])}` makes it again from the archive"
    )

"""The warehouse's four tables, derived from the protobuf contracts: columns, Arrow and BigQuery schemas, rows.

A message field becomes a column of its own name. Unsigned integers become signed 64-bit ones, enums their names, a map
a list of (key, value) ordered by key: what Arrow, DuckDB and BigQuery all have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.trace_pb2 import JobState, PreprocessedTrace, Segment

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
# google.protobuf.descriptor's Descriptor and FieldDescriptor, or the twins of them in the compiled runtime.
Descriptor: TypeAlias = Any
Field: TypeAlias = Any

_INTEGERS = (
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
)


class Column(NamedTuple):
    """kind: "int", "float", "bool", "string", "bytes" or "record"; fields: the columns of a record."""

    name: str
    kind: str
    repeated: bool = False
    fields: tuple[Column, ...] = ()


class Table(NamedTuple):
    """time: the column whose day is the partition; cluster: what BigQuery orders by inside of a partition."""

    columns: tuple[Column, ...]
    time: str
    cluster: tuple[str, ...]
    description: str


def _is_repeated(field: Field) -> bool:
    # `label` is gone from newer runtimes, `is_repeated` is not in older ones.
    if hasattr(FieldDescriptor, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)


def column(field: Field) -> Column:
    """The column of a message field."""
    repeated = _is_repeated(field)
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return Column(field.name, "record", repeated, columns(field.message_type))
    if field.cpp_type in _INTEGERS:
        kind = "int"
    elif field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        kind = "float"
    elif field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        kind = "bool"
    elif field.type == FieldDescriptor.TYPE_BYTES:
        kind = "bytes"
    else:
        kind = "string"
    return Column(field.name, kind, repeated)


def columns(message: Descriptor, leave_out: Iterable[str] = ()) -> tuple[Column, ...]:
    """The columns of a message, in the order of its field numbers."""
    fields = sorted(message.fields, key=lambda field: field.number)
    return tuple(column(field) for field in fields if field.name not in leave_out)


_TRACE = PreprocessedTrace.DESCRIPTOR
# What other tables hold, what only the stored object holds, and times of a run, which differ from run to run.
_NOT_IN_TRACES = ("segments", "job", "line_classes", "seconds")


def _of_trace(*names: str) -> tuple[Column, ...]:
    return tuple(column(_TRACE.fields_by_name[name]) for name in names)


_KEY = _of_trace("job_id", "trace_id", "window_start_ns", "part", "revision")

TABLES: Mapping[str, Table] = {
    "jobs": Table(
        (*_KEY, *_of_trace("window_end_ns"), *columns(JobState.DESCRIPTOR), *_of_trace("processes")),
        "window_start_ns",
        ("job_id",),
        "What each window tells about its job; the job's state is all its windows together.",
    ),
    "traces": Table(
        columns(_TRACE, _NOT_IN_TRACES),
        "window_start_ns",
        ("job_id", "window_start_ns"),
        "One row a preprocessed trace: its text and the account of what happened.",
    ),
    "segments": Table(
        (*_KEY, Column("position", "int"), *columns(Segment.DESCRIPTOR)),
        "window_start_ns",
        ("job_id", "label", "template"),
        "One row a kept segment; position counts from 0 inside of its trace.",
    ),
    "dead_letters": Table(
        columns(DeadLetter.DESCRIPTOR),
        "time_ns",
        ("code", "topic"),
        "Records that were refused, whole, and why.",
    ),
}


def rows(trace: PreprocessedTrace) -> dict[str, list[Row]]:
    """Rows for the tables jobs, traces and segments, each in column order; nothing of them is shared."""
    key = {item.name: getattr(trace, item.name) for item in _KEY}
    state = _to_row(columns(JobState.DESCRIPTOR), trace.job)
    processes = _to_row(_of_trace("processes"), trace)
    to_segment = columns(Segment.DESCRIPTOR)
    return {
        "jobs": [{**key, "window_end_ns": trace.window_end_ns, **state, **processes}],
        "traces": [_to_row(TABLES["traces"].columns, trace)],
        "segments": [
            {**key, "position": position, **_to_row(to_segment, segment)}
            for position, segment in enumerate(trace.segments)
        ],
    }


def dead_letter_row(letter: DeadLetter) -> Row:
    """The row of a dead letter."""
    return _to_row(TABLES["dead_letters"].columns, letter)


def date_of(time_ns: int) -> str:
    """The partition of a Unix time: its day in UTC, "YYYY-MM-DD"."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, timezone.utc).strftime("%Y-%m-%d")


@cache
def arrow_schema(table: str) -> pa.Schema:
    """The Arrow schema of a table. Needs pyarrow."""
    import pyarrow as pa

    types = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "string": pa.string(), "bytes": pa.binary()}

    def field(item: Column) -> pa.Field:
        kind = pa.struct([field(inner) for inner in item.fields]) if item.kind == "record" else types[item.kind]
        return pa.field(item.name, pa.list_(kind) if item.repeated else kind)

    return pa.schema([field(item) for item in TABLES[table].columns])


def describe(table: str) -> str:
    """The Arrow schema of a table as text, a column a line. Needs pyarrow."""
    return "".join([f"{field.name}: {field.type}\n" for field in arrow_schema(table)])


def bigquery_table(table: str) -> dict[str, Any]:
    """Schema, partition and clustering of a table as BigQuery's REST interface writes them.

    It has one column more than Arrow: `dt`, the day it is partitioned by, which in files is the folder.
    """
    types = {"int": "INTEGER", "float": "FLOAT", "bool": "BOOLEAN", "string": "STRING", "bytes": "BYTES"}

    def field(item: Column) -> dict[str, Any]:
        mode = "REPEATED" if item.repeated else "NULLABLE"
        if item.kind == "record":
            inner = [field(one) for one in item.fields]
            return {"name": item.name, "type": "RECORD", "mode": mode, "fields": inner}
        return {"name": item.name, "type": types[item.kind], "mode": mode}

    found = TABLES[table]
    day = {"name": "dt", "type": "DATE", "mode": "REQUIRED", "description": f"UTC day of {found.time}"}
    return {
        "description": found.description,
        "schema": {"fields": [day, *map(field, found.columns)]},
        "timePartitioning": {"type": "DAY", "field": "dt"},
        "clustering": {"fields": list(found.cluster)},
    }


@cache
def _readers(wanted: tuple[Column, ...], message: Descriptor) -> list[tuple[str, Callable[[Any], Any]]]:
    """For each column, how its value is taken from the message."""
    return [(item.name, _reader(item, message.fields_by_name[item.name])) for item in wanted]


def _to_row(wanted: tuple[Column, ...], message: Message) -> Row:
    return {name: read(message) for name, read in _readers(wanted, message.DESCRIPTOR)}


def _reader(item: Column, field: Field) -> Callable[[Any], Any]:
    name = field.name
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return lambda message: [{"key": key, "value": value} for key, value in sorted(getattr(message, name).items())]
    if item.kind == "record" and item.repeated:
        return lambda message: [_to_row(item.fields, inner) for inner in getattr(message, name)]
    if item.kind == "record":
        return lambda message: _to_row(item.fields, getattr(message, name)) if message.HasField(name) else None
    if field.enum_type is not None:
        names = field.enum_type.values_by_number
        return lambda message: names[getattr(message, name)].name if getattr(message, name) in names else None
    if item.repeated:
        return lambda message: list(getattr(message, name))
    if field.has_presence:
        return lambda message: getattr(message, name) if message.HasField(name) else None
    return lambda message: getattr(message, name)

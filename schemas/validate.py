"""Bytes of a record -> a TelemetryBatch that every later step can rely on, or BadInput with a reason for its sender.

batch = decode(record.value, headers)      # plain protobuf, or Confluent framing where a registry is given
check(batch, time.time_ns())
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from google.protobuf.message import DecodeError

from tracewinnow.schemas.errors import BadInput
from tracewinnow.schemas.telemetry_pb2 import (
    Accelerator,
    DType,
    Event,
    LayerStats,
    SparseActivation,
    TelemetryBatch,
    Vector,
)

SCHEMA = b"tracewinnow.v1.TelemetryBatch"  # of the header "schema", where there is one; may be followed by "@" and more

RECORD_BYTES = 16 << 20  # Kafka's default is 1 MiB; the smallest events take 27 times their bytes in memory
EVENTS = 1 << 20  # in a batch
JOB_ID_BYTES = 1024
DIMENSIONS = 32
SEQUENCES = 1 << 63  # tables have signed integers
FUTURE_NS = 600 * 10**9  # clocks of well-kept machines differ by less
YEAR_2000_NS = 946_684_800 * 10**9

ITEM_BYTES = {
    DType.DTYPE_FLOAT32: 4,
    DType.DTYPE_FLOAT64: 8,
    DType.DTYPE_FLOAT16: 2,
    DType.DTYPE_BFLOAT16: 2,
    DType.DTYPE_INT64: 8,
    DType.DTYPE_INT32: 4,
    DType.DTYPE_UINT32: 4,
}

_UUID = re.compile(r"[0-9a-f]{32}\Z")
# Of both sets, of lines and paragraphs, and what turns the direction of text: all of it changes what a terminal shows.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_ACCELERATORS = frozenset(Accelerator.values())


class Registry(Protocol):
    """Knows the schemas that records are framed with; see `registry.SchemaRegistry`."""

    def is_batch(self, schema_id: int) -> bool:
        """Whether that schema's first message is our TelemetryBatch. Raises BadInput for an unknown id, Transient."""


def decode(value: bytes, headers: Mapping[str, bytes], registry: Registry | None = None) -> TelemetryBatch:
    """The batch in a record. Raises BadInput, whatever the bytes are; Transient where the registry does not answer."""
    if not value:
        raise BadInput("not-a-batch", "the record is empty")
    if len(value) > RECORD_BYTES:
        raise BadInput(
            "too-large", f"the record has {len(value)} bytes, the limit is {RECORD_BYTES}: send smaller batches"
        )
    schema = headers.get("schema", SCHEMA)
    if schema.partition(b"@")[0] != SCHEMA:
        raise BadInput("other-schema", f"the header `schema` says {schema[:80]!r}, this topic is for {SCHEMA.decode()}")
    # No protobuf message begins with 0: that would be field number 0.
    body = _unframe(value, registry) if value[0] == 0 else value
    try:
        return TelemetryBatch.FromString(body)
    except DecodeError:
        reason = "the bytes are not a TelemetryBatch in protobuf (a string that is not UTF-8 also makes them none)"
        raise BadInput("not-a-batch", reason) from None


def _unframe(value: bytes, registry: Registry | None) -> bytes:
    """What follows Confluent's frame: a 0, the schema's id in 4 bytes, and the path to the message in the schema.

    The path is a 0 for the first message: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop
    """
    if registry is None:
        raise BadInput("framed", "the record is framed for a schema registry, and this pipeline is given none")
    if len(value) < 6 or value[5] != 0:
        raise BadInput("not-a-batch", "the record's frame does not point to the first message of its schema")
    schema_id = int.from_bytes(value[1:5], "big")
    if not registry.is_batch(schema_id):
        raise BadInput("other-schema", f"schema {schema_id} of the registry does not begin with {SCHEMA.decode()}")
    return value[6:]


def check(batch: TelemetryBatch, now_ns: int) -> None:
    """Raises BadInput for the first thing that is wrong with a batch. now_ns: Unix time; events must not be after it.

    An accelerator, a stream or a kind of event that is not given is no fault; text may be any bytes.
    """
    check_head(batch, now_ns)
    check_events(batch, now_ns)


def check_head(batch: TelemetryBatch, now_ns: int) -> None:
    """The part of `check` that looks at no event."""
    if not batch.job_id:
        raise BadInput("missing-job-id", "job_id is empty: name the job")
    if len(batch.job_id) > JOB_ID_BYTES or len(batch.job_id.encode()) > JOB_ID_BYTES:
        raise BadInput("bad-job-id", f"job_id begins {batch.job_id[:40]!r} and has more than {JOB_ID_BYTES} bytes")
    if CONTROL.search(batch.job_id):
        raise BadInput("bad-job-id", f"job_id {batch.job_id[:80]!r} has a control character in it")
    if not batch.process_uuid:
        raise BadInput("missing-process-uuid", "process_uuid is empty: give each process 32 hex digits of its own")
    if not _UUID.match(batch.process_uuid):
        raise BadInput("bad-process-uuid", f"process_uuid {batch.process_uuid[:80]!r} is not 32 lower-case hex digits")
    if batch.sequence >= SEQUENCES:
        raise BadInput("bad-sequence", f"sequence {batch.sequence} is not below 2^63: it counts batches from 0")
    if batch.accelerator not in _ACCELERATORS:
        known = ", ".join(f"{number} {name}" for name, number in Accelerator.items())
        raise BadInput("unknown-accelerator", f"accelerator {batch.accelerator} is none of {known}")
    _check_time("created_ns", batch.created_ns, now_ns + FUTURE_NS, batch.host)


def in_time(earliest_ns: int, latest_ns: int, now_ns: int) -> bool:
    """Whether events between these times are neither before the year 2000 nor after now."""
    return earliest_ns >= YEAR_2000_NS and latest_ns <= now_ns + FUTURE_NS


def check_events(batch: TelemetryBatch, now_ns: int) -> None:
    """The part of `check` that looks at each event. Of log lines, from 1 to EVENTS of them, `in_time` says the same."""
    latest_ns = now_ns + FUTURE_NS
    count = len(batch.events)
    if not count:
        raise BadInput("empty-batch", "the batch has no events")
    if count > EVENTS:
        raise BadInput("too-many-events", f"the batch has {count} events, the limit is {EVENTS}: send smaller batches")
    for place, event in enumerate(batch.events):
        time_ns = event.time_ns
        if not YEAR_2000_NS <= time_ns <= latest_ns:
            _check_time(f"time_ns of event {place}", time_ns, latest_ns, batch.host)
        kind = event.WhichOneof("kind")
        if kind == "layers" or kind == "sparse":
            _check_numbers(place, event)


def _check_time(what: str, time_ns: int, latest_ns: int, host: str) -> None:
    if time_ns > latest_ns:
        # Not by how much: the same record is refused with the same words whenever it is read.
        limit = FUTURE_NS // 10**9
        raise BadInput(
            "time-in-the-future",
            f"{what} is {time_ns}, over {limit} s ahead of now: check the clock of {host[:80]!r}; it must be nanoseconds",
        )
    if time_ns < YEAR_2000_NS:
        raise BadInput(
            "time-in-the-past", f"{what} is {time_ns}, before the year 2000: it must be Unix time in nanoseconds"
        )


def _check_numbers(place: int, event: Event) -> None:
    try:
        if event.HasField("layers"):
            _check_layers(event.layers)
        else:
            _check_sparse(event.sparse)
    except _Wrong as wrong:
        raise BadInput("bad-vector", f"event {place}: {wrong}") from None


class _Wrong(Exception):
    """What is wrong with a vector, without where it is."""


def _check_layers(layers: LayerStats) -> None:
    if not layers.names and not layers.HasField("values"):
        return
    count = _count(layers.values, "values")
    if count != len(layers.names):
        raise _Wrong(f"{len(layers.names)} names for {count} values")


def _check_sparse(sparse: SparseActivation) -> None:
    size = _product(sparse.shape, "the tensor")
    if size > 1 << 32:
        raise _Wrong(f"a tensor of {size} elements; indices of 32 bits reach 2^32")
    count = _count(sparse.indices, "indices")
    if sparse.indices.dtype != DType.DTYPE_UINT32:
        raise _Wrong("indices must be DTYPE_UINT32")
    if _count(sparse.values, "values") != count:
        raise _Wrong(f"{count} indices for another number of values")
    indices = np.frombuffer(sparse.indices.data, "<u4")
    if count and int(indices[-1]) >= size:
        raise _Wrong(f"index {int(indices[-1])} in a tensor of {size} elements")
    if bool((indices[1:] <= indices[:-1]).any()):
        raise _Wrong("indices do not ascend")


def _count(vector: Vector, what: str) -> int:
    """Numbers in a vector. Raises _Wrong where dtype, shape and length do not agree."""
    size = ITEM_BYTES.get(vector.dtype)
    if size is None:
        raise _Wrong(f"{what} have dtype {vector.dtype}, which is none of {', '.join(DType.keys()[1:])}")
    count = _product(vector.shape, what)
    if count * size != len(vector.data):
        raise _Wrong(
            f"{what} have {len(vector.data)} bytes; {count} of {DType.Name(vector.dtype)} would be {count * size}"
        )
    return count


def _product(shape: Sequence[int], what: str) -> int:
    if len(shape) > DIMENSIONS:
        raise _Wrong(f"{what} have {len(shape)} dimensions, the limit is {DIMENSIONS}")
    product = 1
    for length in shape:
        product *= length
    return product

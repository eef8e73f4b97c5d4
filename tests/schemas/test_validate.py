"""Every reason to refuse a batch, and that nothing but these reasons comes out, whatever the bytes."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow.schemas import validate
from tracewinnow.schemas.errors import BadInput
from tracewinnow.schemas.telemetry_pb2 import DType, TelemetryBatch
from tracewinnow.schemas.validate import YEAR_2000_NS, check, decode

NOW = 1_800_000_000_000_000_000
SECOND = 10**9


def good_batch() -> TelemetryBatch:
    batch = TelemetryBatch(job_id="job 1/ünï", process_uuid="0123456789abcdef" * 2, created_ns=NOW, host="node-7")
    batch.events.add(time_ns=NOW).log.text = b"\xff\xfe not UTF-8 \0"
    batch.events.add(time_ns=NOW).metrics.metrics.add(name="loss", value=float("nan"))
    layers = batch.events.add(time_ns=NOW).layers
    layers.names.extend(["a", "b"])
    layers.values.dtype, layers.values.data = DType.DTYPE_BFLOAT16, b"1234"
    layers.values.shape.append(2)
    sparse = batch.events.add(time_ns=NOW).sparse
    sparse.shape.extend([10, 10])
    sparse.indices.dtype, sparse.indices.data = DType.DTYPE_UINT32, np.array([0, 5, 99], "<u4").tobytes()
    sparse.values.dtype, sparse.values.data = DType.DTYPE_FLOAT32, bytes(12)
    sparse.indices.shape.append(3)
    sparse.values.shape.append(3)
    batch.events.add(time_ns=NOW).stop.exit_code = 1
    return batch


def test_a_good_batch_passes() -> None:
    batch = decode(good_batch().SerializeToString(), {"schema": b"tracewinnow.v1.TelemetryBatch@1"})
    assert batch == good_batch()
    check(batch, NOW)


def test_what_is_not_given_is_no_fault() -> None:
    batch = TelemetryBatch(job_id="j", process_uuid="0" * 32, created_ns=NOW)
    batch.events.add(time_ns=NOW)  # a kind of event that a later version knows
    batch.events.add(time_ns=NOW).layers.step = 1
    batch.events[0].log.stream = 99
    check(batch, NOW)


def change(path: str, value: object) -> Callable[[TelemetryBatch], None]:
    """Sets a field, or replaces the items of a repeated one."""

    def act(batch: TelemetryBatch) -> None:
        *parents, name = path.split(".")
        message = batch
        for parent in parents:
            message = message.events[int(parent)] if parent.isdigit() else getattr(message, parent)
        if isinstance(value, list):
            del getattr(message, name)[:]
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)

    return act


BAD = {
    "no job": (change("job_id", ""), "missing-job-id", "job_id is empty: name the job"),
    "long job": (change("job_id", "é" * 513), "bad-job-id", "has more than 1024 bytes"),
    "NUL in job": (change("job_id", "a\0b"), "bad-job-id", "control character"),
    "C1 control in job": (change("job_id", "a\x9b31m"), "bad-job-id", "control character"),
    "turned text in job": (change("job_id", "a\u202eb"), "bad-job-id", "control character"),
    "line end in job": (change("job_id", "a\n"), "bad-job-id", "control character"),
    "no process": (change("process_uuid", ""), "missing-process-uuid", "give each process 32 hex digits"),
    "upper case": (change("process_uuid", "A" * 32), "bad-process-uuid", "'AAAA.* is not 32 lower-case"),
    "line end in process": (change("process_uuid", "a" * 32 + "\n"), "bad-process-uuid", "is not 32 lower-case"),
    "sequence": (change("sequence", 2**63), "bad-sequence", r"not below 2\^63"),
    "accelerator": (change("accelerator", 4), "unknown-accelerator", "4 is none of 0 ACCELERATOR_UNSPECIFIED, 1 "),
    "future": (change("created_ns", NOW + 601 * SECOND), "time-in-the-future", "over 600 s ahead .* clock of 'node-7'"),
    "past": (change("created_ns", YEAR_2000_NS - 1), "time-in-the-past", "created_ns .* must be Unix time in nano"),
    "seconds": (change("created_ns", NOW // SECOND), "time-in-the-past", "before the year 2000"),
    "no time": (change("created_ns", 0), "time-in-the-past", "created_ns is 0"),
    "future event": (change("0.time_ns", 2**62), "time-in-the-future", "time_ns of event 0 is"),
    "past event": (change("1.time_ns", -1), "time-in-the-past", "time_ns of event 1 is -1"),
    "names": (change("2.layers.names", ["a"]), "bad-vector", "event 2: 1 names for 2 values"),
    "no names": (change("2.layers.names", []), "bad-vector", "0 names for 2 values"),
    "short data": (change("2.layers.values.data", b"123"), "bad-vector", "3 bytes; 2 of DTYPE_BFLOAT16 would be 4"),
    "no dtype": (change("2.layers.values.dtype", 0), "bad-vector", "dtype 0, which is none of DTYPE_FLOAT32, "),
    "unknown dtype": (change("2.layers.values.dtype", 77), "bad-vector", "dtype 77, which is none of DTYPE_FLOAT32, "),
    "overflow": (change("2.layers.values.shape", [2**32 - 1] * 4), "bad-vector", "4 bytes; 3402823"),
    "wraps to right": (change("2.layers.values.shape", [2**31, 2**31, 4]), "bad-vector", "4 bytes; "),
    "dimensions": (change("2.layers.values.shape", [1] * 33), "bad-vector", "33 dimensions, the limit is 32"),
    "index": (change("3.sparse.shape", [99]), "bad-vector", "event 3: index 99 in a tensor of 99"),
    "big tensor": (change("3.sparse.shape", [2**32 - 1, 2]), "bad-vector", r"indices of 32 bits reach 2\^32"),
    "index type": (change("3.sparse.indices.dtype", 1), "bad-vector", "indices must be DTYPE_UINT32"),
    "counts": (change("3.sparse.values.shape", [2]), "bad-vector", "values have 12 bytes; 2 of DTYPE_FLOAT32"),
    "order": (change("3.sparse.indices.data", struct.pack("<3I", 5, 5, 9)), "bad-vector", "indices do not ascend"),
    "empty": (change("events", []), "empty-batch", "has no events"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_batches(name: str) -> None:
    act, code, reason = BAD[name]
    batch = good_batch()
    act(batch)
    with pytest.raises(BadInput, match=reason) as raised:
        check(decode(batch.SerializeToString(), {}), NOW)
    assert raised.value.code == code


def test_ten_minutes_are_allowed() -> None:
    batch = good_batch()
    batch.created_ns = NOW + 600 * SECOND
    check(batch, NOW)


def test_too_many_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "EVENTS", 4)
    with pytest.raises(BadInput, match="5 events, the limit is 4: send smaller batches"):
        check(good_batch(), NOW)


@pytest.mark.parametrize(
    ("value", "headers", "code"),
    [
        (b"", {}, "not-a-batch"),
        (b"plain text", {}, "not-a-batch"),
        (b'{"job_id": "x"}', {}, "not-a-batch"),
        (b"\x0a\x02\xff\xff", {}, "not-a-batch"),  # a job_id that is not UTF-8
        (b"\x0a\xff\xff\xff\xff\x0f", {}, "not-a-batch"),  # a length of 4 GiB
        (b"\x0a\x01x", {"schema": b"tracewinnow.v1.DeadLetter"}, "other-schema"),
        (b"\x0a\x01x", {"schema": b"tracewinnow.v1.TelemetryBatches"}, "other-schema"),
        (b"\0\0\0\0\1\0", {}, "framed"),
        (bytes(16 * 2**20 + 1), {}, "too-large"),
    ],
)
def test_bytes_that_are_no_batch(value: bytes, headers: dict[str, bytes], code: str) -> None:
    with pytest.raises(BadInput) as raised:
        decode(value, headers)
    assert raised.value.code == code


def accepted_or_refused(value: bytes) -> None:
    with contextlib.suppress(BadInput):
        check(decode(value, {}), NOW)


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(value: bytes) -> None:
    accepted_or_refused(value)


@given(st.data())
def test_no_damaged_batch_does_harm(data: st.DataObject) -> None:
    value = bytearray(good_batch().SerializeToString())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(value) - 1))
        change_to = data.draw(st.binary(max_size=3))
        value[place : place + data.draw(st.integers(0, 3))] = change_to
    accepted_or_refused(bytes(value))


def test_a_record_of_the_smallest_events() -> None:
    """As many as fit: refused by their count, before anything looks at each."""
    start = time.monotonic()
    head = TelemetryBatch(job_id="j", process_uuid="0" * 32, created_ns=NOW).SerializeToString()
    value = head + b"\x7a\x00" * ((validate.RECORD_BYTES - len(head)) // 2)
    with pytest.raises(BadInput, match="send smaller batches"):
        check(decode(value, {}), NOW)
    assert time.monotonic() - start < 30

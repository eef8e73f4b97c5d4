"""What a job sent comes back out of the container to the bit, whatever it sent; what cannot be held is counted."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.codec import (
    CodecError,
    Span,
    decode_bundle,
    decode_series,
    encode_bundle,
    encode_series,
    encode_spans,
)
from tracewinnow.schemas.errors import BadInput, BadUse
from tracewinnow.schemas.telemetry_pb2 import ACCELERATOR_TPU, DType, Event, TelemetryBatch
from tracewinnow.transforms import pack as packing
from tracewinnow.transforms.assemble import assemble
from tracewinnow.transforms.numeric import DTYPES, Numeric
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.pack import pack, ranks_name
from tracewinnow.transforms.preprocess import preprocess
from tracewinnow.transforms.unpack import _ranks, unpack

INT64 = st.integers(-(2**63), 2**63 - 1)
NEAR = st.integers(0, 20)
WORDS = st.text(max_size=6)


@st.composite
def layers(draw: Any) -> Event:
    code = draw(st.sampled_from(sorted(DTYPES)))
    names = draw(st.sampled_from([(), ("a",), ("a", "b/c"), ("a", "b/c", "0/a", "")]))
    event = Event(time_ns=draw(st.one_of(NEAR, INT64)))
    event.layers.step, event.layers.statistic = draw(st.one_of(NEAR, INT64)), draw(st.sampled_from(["grad_norm", ""]))
    event.layers.names.extend(names)
    event.layers.values.dtype = code
    event.layers.values.shape.append(len(names))
    size = len(names) * np.dtype(DTYPES[code][1]).itemsize
    event.layers.values.data = draw(st.binary(min_size=size, max_size=size))
    return event


@st.composite
def sparse(draw: Any) -> Event:
    code = draw(st.sampled_from(sorted(DTYPES)))
    shape = draw(st.sampled_from([(), (0,), (7,), (2, 3), (1,) * 32]))
    index = draw(st.sets(st.integers(0, int(np.prod(shape)) - 1), max_size=7)) if np.prod(shape) else set()
    event = Event(time_ns=draw(NEAR))
    event.sparse.step, event.sparse.name = draw(NEAR), draw(st.sampled_from(["relu", "gelu"]))
    event.sparse.shape.extend(shape)
    event.sparse.indices.dtype = DType.DTYPE_UINT32
    event.sparse.indices.data = np.array(sorted(index), "<u4").tobytes()
    event.sparse.values.dtype = code
    size = len(index) * np.dtype(DTYPES[code][1]).itemsize
    event.sparse.values.data = draw(st.binary(min_size=size, max_size=size))
    return event


@st.composite
def others(draw: Any) -> Event:
    event = Event(time_ns=draw(NEAR))
    kind = draw(st.sampled_from(["metrics", "memory", "span"]))
    if kind == "metrics":
        event.metrics.step = draw(st.one_of(NEAR, INT64))
        for name in draw(st.sampled_from([("loss",), ("loss", "lr"), ("loss", "loss"), ()])):
            event.metrics.metrics.add(name=name, value=struct.unpack("<d", draw(st.binary(min_size=8, max_size=8)))[0])
    elif kind == "memory":
        event.memory.device = draw(st.sampled_from(["host", "cuda:0"]))
        event.memory.used_bytes, event.memory.limit_bytes = draw(st.integers(0, 2**64 - 1)), draw(NEAR)
    else:
        span = event.span
        span.name, span.device, span.category, span.error = (draw(WORDS) for _ in range(4))
        span.start_ns, span.duration_ns = draw(INT64), draw(INT64)
    return event


def batches(events: list[tuple[Event, int]]) -> list[TelemetryBatch]:
    """One batch an event, of the process of its rank."""
    found = []
    for number, (event, rank) in enumerate(events):
        made = TelemetryBatch(job_id="j", process_uuid=f"p{rank}", sequence=number, accelerator=ACCELERATOR_TPU)
        if rank >= 0:
            made.rank = rank
        made.events.append(event)
        found.append(made)
    return found


def told(numeric: Numeric) -> list[Any]:
    """Every event as plain bytes and numbers, in an order that does not hang on groups."""
    found: list[Any] = []
    for row in numeric.rows:
        for place, step in enumerate(row.steps.tolist()):
            values = row.values[place].tobytes()
            found.append((row.kind, row.of, row.dtype, row.rank, row.names, step, int(row.times_ns[place]), values))
    for one in numeric.tensors:
        at = 0
        for place, count in enumerate(one.counts.tolist()):
            entries = slice(at, at + count)
            at += count
            found.append(("sparse", one.name, one.dtype, int(one.ranks[place]), one.shape, int(one.steps[place]),
                          int(one.times_ns[place]), one.index[entries].tobytes() + one.values[entries].tobytes()))  # fmt: skip
    if numeric.spans is not None:
        spans = numeric.spans
        for place in range(len(spans.name)):
            track, long = spans.tracks[int(spans.track[place])], spans.durations_ns[place].tobytes()
            found.append(("spans", spans.names[int(spans.name[place])], str(track), track[0], (),
                          int(spans.starts_ns[place]), int(spans.times_ns[place]), long))  # fmt: skip
    return sorted(found, key=repr)


@given(st.lists(st.tuples(st.one_of(layers(), sparse(), others()), st.integers(-1, 2)), max_size=25))
@settings(max_examples=150, deadline=None)
def test_everything_comes_back_to_the_bit(events: list[tuple[Event, int]]) -> None:
    numeric = assemble(batches(events)).numeric
    packed = pack(numeric)
    found = told(unpack(packed.data))
    # A name twice in one event and more dimensions than the codec has are what cannot be held, and are counted.
    wanted = [e for e in told(numeric) if not (e[4] == ("loss", "loss") or (e[0] == "sparse" and len(e[4]) > 31))]
    assert found == wanted
    assert packed.events == len(wanted)
    assert packed.events + sum(packed.left_out.values()) == len(events)


def test_ranks_stand_side_by_side_where_they_saw_the_same_steps() -> None:
    events = []
    for step in range(10):
        for rank in (0, 1, 2, 4):
            event = Event(time_ns=step)
            event.metrics.step = step if rank < 4 else step + 1
            event.metrics.metrics.add(name="loss", value=step / 2 + rank)
            event.metrics.metrics.add(name="norm", value=event.metrics.step / 3)
            events.append((event, rank))
    numeric = assemble(batches(events)).numeric
    data = pack(numeric).data
    parts = list(decode_bundle(data))
    values = [decode_series(part.data) for part in parts if part.labels["holds"] == "values"]
    assert [series.names for series in values] == [
        ["0/loss", "0-2,4/norm", "1/loss", "2/loss", "4/loss"],  # what all say alike stands there once
        ["0/loss", "0-2/norm", "1/loss", "2/loss"],
        ["4/loss", "4/norm"],
    ]
    assert [series.steps.tolist() for series in values] == [list(range(1, 10)), [0], [10]]
    assert parts[0].labels == {"group": "0", "holds": "values", "kind": "metrics", "dtype": "float64"}
    assert decode_series(parts[1].data).names == ["0", "1", "2", "4"]
    assert told(unpack(data)) == told(numeric)
    assert [rows.steps.tolist() for rows in unpack(data).rows] == [rows.steps.tolist() for rows in numeric.rows]


@given(st.sets(st.integers(-1, 300), min_size=1))
def test_names_of_ranks(ranks: set[int]) -> None:
    assert _ranks(ranks_name(sorted(ranks)), len(ranks)) == sorted(ranks)


def test_a_bound_is_kept_and_said() -> None:
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(size=(300, 8)).cumsum(0) / 20).astype(np.float32)
    values[290:, 3] = np.nan
    events = []
    for step, row in enumerate(values):
        event = Event(time_ns=step)
        event.layers.step, event.layers.statistic = step, "grad_norm"
        event.layers.names.extend(f"layers.{i}" for i in range(8))
        event.layers.values.dtype, event.layers.values.data = DType.DTYPE_FLOAT32, row.tobytes()
        events.append((event, 0))
    numeric = assemble(batches(events)).numeric
    exact, bounded = pack(numeric), pack(numeric, rel_error=0.01)
    assert len(bounded.data) < len(exact.data) / 2
    [rows] = unpack(bounded.data).rows
    assert np.nanmax(np.abs(rows.values / values - 1)) <= 0.01
    assert np.array_equal(np.isnan(rows.values), np.isnan(values))
    part = next(decode_bundle(bounded.data))
    assert decode_series(part.data).rel_error == 0.01


def test_more_groups_than_are_held_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_GROUPS", 3)
    events = []
    for number in range(10):
        event = Event()
        event.metrics.metrics.add(name=f"m{number}", value=1.0)
        events += [(event, 0)] * (2 if number == 7 else 1)
    packed = pack(assemble(batches(events)).numeric)
    assert packed.events == 4
    assert packed.left_out == {"in more than 3 groups": 7}
    assert "m7" in {name for rows in unpack(packed.data).rows for name in rows.names}


@pytest.mark.parametrize("kind", ["metrics", "layers", "memory", "sparse", "span"])
def test_a_name_of_a_megabyte(kind: str) -> None:
    name, event = "n" * (1 << 20), Event()
    if kind == "metrics":
        event.metrics.metrics.add(name=name, value=1.0)
    elif kind == "layers":
        event.layers.names.append(name)
        event.layers.values.dtype, event.layers.values.data = DType.DTYPE_FLOAT32, b"\0\0\0\0"
    elif kind == "memory":
        event.memory.device = name
    elif kind == "sparse":
        event.sparse.name = name
        event.sparse.values.dtype = DType.DTYPE_FLOAT16
    else:
        event.span.name = event.span.error = name
    numeric = assemble(batches([(event, 0)])).numeric
    packed = pack(numeric)
    if kind == "span":  # words of spans have no limit but the container's
        assert told(unpack(packed.data)) == told(numeric)
    else:
        assert packed.data == b""
        assert packed.left_out == {"with a name of more than 65000 bytes": 1}


def test_large_tensors_and_many_spans_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "TENSOR_ELEMENTS", 10)
    monkeypatch.setattr(packing, "SPANS", 3)
    events = []
    for number in range(8):
        event = Event(time_ns=number)
        event.sparse.name = "relu"
        event.sparse.shape.append(4)
        event.sparse.indices.data = np.array([number % 4], "<u4").tobytes()
        event.sparse.values.dtype, event.sparse.values.data = DType.DTYPE_FLOAT16, b"\0\1"
        events.append((event, number % 2))
        event = Event(time_ns=number)
        event.span.name, event.span.start_ns, event.span.device = f"s{number % 3}", number, f"d{number % 2}"
        events.append((event, 0))
    numeric = assemble(batches(events)).numeric
    data = pack(numeric).data
    assert len(list(decode_bundle(data))) == 2 * (4 + 3)
    assert told(unpack(data)) == told(numeric)


def hostile() -> list[tuple[Event, int]]:
    """What no job should send, all of it within the contract."""
    rng = np.random.default_rng(0)
    wide = Event(time_ns=5)
    wide.layers.statistic = "\x1b[2J\n" * 10
    wide.layers.names.extend(f"n{i}" for i in range(3000))
    wide.layers.values.dtype, wide.layers.values.data = DType.DTYPE_FLOAT32, np.full(3000, np.nan, "<f4").tobytes()
    found = [(wide, rank) for rank in range(2)]
    for number in range(1500):
        event = Event(time_ns=int(rng.integers(2**62)))
        event.metrics.step = int(rng.integers(-(2**63), 2**63 - 1)) if number % 3 else 7
        event.metrics.metrics.add(
            name="loss" if number % 2 else f"m{number}", value=float("nan") if number % 5 else -0.0
        )
        found.append((event, number % 3))
    return found


def test_what_no_job_should_send_is_held_or_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_NAMES", 4096)
    monkeypatch.setattr(packing, "MAX_GROUPS", 400)
    trace = assemble(batches(hostile()))
    result = preprocess(trace, Options(store_tokens=8000))
    numeric = unpack(result.container)
    held = sum(len(rows.steps) for rows in numeric.rows)
    [note] = [note for note in result.notes if note.stage == "compress"]
    assert note.reason.startswith(f"{1502 - held} numeric events are not in the container, the archive has them: ")
    assert set(told(numeric)) <= set(told(trace.numeric))
    assert len(told(numeric)) == held > 1000
    assert len(result.segments) <= 1000
    assert result.versions["container"] == "1, lossless"


def test_the_address_of_a_result_hangs_on_numbers_and_bound() -> None:
    event = Event(time_ns=1)
    event.layers.names.append("a")
    event.layers.values.dtype, event.layers.values.data = DType.DTYPE_FLOAT32, b"\1\0\x80\x7f"  # a NaN
    first = assemble(batches([(event, 0)]))
    event.layers.values.data = b"\2\0\x80\x7f"  # and another one
    other = assemble(batches([(event, 0)]))
    options = (Options(), Options(rel_error=0.1))
    assert len({preprocess(trace, of).content_address for trace in (first, other) for of in options}) == 4


@pytest.mark.parametrize("bound", [0.0, 1.0, -1.0, float("nan")])
def test_a_bound_that_cannot_be(bound: float) -> None:
    with pytest.raises(BadUse, match="rel_error"):
        Options(rel_error=bound)


def test_a_container_that_no_trace_has() -> None:
    series = encode_series(np.zeros((2, 2)), names=["0/a", "0/b"])
    times = encode_series(np.zeros((2, 1), np.int64), names=["0"])
    good = {"group": "0", "kind": "metrics", "dtype": "float64"}
    assert (
        len(unpack(encode_bundle([({**good, "holds": "values"}, series), ({**good, "holds": "times"}, times)])).rows)
        == 1
    )
    later = [({**good, "kind": "later", "holds": h}, series) for h in ("values", "times")]
    assert unpack(encode_bundle(later)) == Numeric()  # of a version that knows more
    for labels, second in (
        ({**good, "dtype": "float8"}, times),
        (good, encode_series(np.zeros((3, 1), np.int64), names=["0"])),
        (good, encode_series(np.zeros((2, 3), np.int64), names=["0", "1", "2"])),
        (good, encode_series(np.zeros((2, 1), np.int64), names=["zero"])),
        ({**good, "kind": "sparse"}, times),
        ({**good, "kind": "spans"}, times),
    ):
        with pytest.raises((BadInput, CodecError)):
            unpack(encode_bundle([({**labels, "holds": "values"}, series), ({**labels, "holds": "times"}, second)]))
    with pytest.raises(BadInput, match="values and times"):
        unpack(encode_bundle([({**good, "holds": "values"}, series)]))
    for track in ("[", "7", '["x"]', '[0,["a"]]', "[" * 100_000):
        spans = encode_spans([Span("a", 0, 0, track)])
        told = encode_series(np.zeros((1, 1), np.int64), names=["after_end_ns"])
        parts = [({"kind": "spans", "holds": h}, d) for h, d in (("values", spans), ("times", told))]
        with pytest.raises(BadInput, match="track"):
            unpack(encode_bundle(parts))

"""Hand-written bytes are those of protobuf."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow.logger import wire
from tracewinnow.schemas import telemetry_pb2 as pb

TIMES = st.integers(-(1 << 63), (1 << 63) - 1)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
INT32 = st.integers(-(1 << 31), (1 << 31) - 1)
UINT64 = st.integers(0, (1 << 64) - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
TEXTS = st.dictionaries(TEXT, TEXT, max_size=4)


def same(time_ns: int, payload: bytes, **fields: Any) -> None:
    message = pb.Event(time_ns=time_ns, **fields)
    assert wire.event(time_ns, payload) == message.SerializeToString(deterministic=True)


@given(TIMES, st.binary(max_size=20_000), st.integers(0, 5), INT32, TEXT)
def test_log(time_ns: int, text: bytes, stream: int, level: int, logger: str) -> None:
    same(
        time_ns,
        wire.log(text, stream, level, logger),
        log=pb.LogLine(text=text, stream=stream, level=level, logger=logger),
    )


@pytest.mark.parametrize(
    "size", [1, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 8186, 8190, 8191, 8192, 16383, 16384]
)
@pytest.mark.parametrize("level", [0, 20, 127, 128])
def test_log_at_the_borders_of_varints(size: int, level: int) -> None:
    text = b"x" * size
    same(1, wire.log(text, wire.API, level), log=pb.LogLine(text=text, stream=wire.API, level=level))


@given(TIMES, INT64, st.lists(st.tuples(TEXT, st.floats()), max_size=5))
def test_metrics(time_ns: int, step: int, values: list[tuple[str, float]]) -> None:
    expected = pb.Metrics(step=step, metrics=[pb.Metric(name=name, value=value) for name, value in values])
    # Not compared as bytes: protobuf leaves open how a NaN is written.
    assert wire.metrics(step, values) == wire.metrics(step, values)
    parsed = pb.Event.FromString(wire.event(time_ns, wire.metrics(step, values)))
    assert parsed.metrics.step == step
    assert repr(parsed.metrics) == repr(expected)


@given(
    TIMES, INT64, TEXT, st.lists(TEXT, max_size=5), st.integers(0, 7), st.binary(max_size=50), st.integers(0, 1 << 31)
)
def test_layers(time_ns: int, step: int, statistic: str, names: list[str], dtype: int, data: bytes, count: int) -> None:
    vector = pb.Vector(dtype=dtype, shape=[count], data=data)
    expected = pb.LayerStats(step=step, statistic=statistic, names=names, values=vector)
    same(time_ns, wire.layers(step, statistic, names, dtype, data, count), layers=expected)


@given(TIMES, TEXT, UINT64, UINT64, UINT64, UINT64)
def test_memory(time_ns: int, device: str, used: int, reserved: int, peak: int, limit: int) -> None:
    expected = pb.Memory(device=device, used_bytes=used, reserved_bytes=reserved, peak_bytes=peak, limit_bytes=limit)
    same(time_ns, wire.memory(device, used, reserved, peak, limit), memory=expected)


@given(TIMES, TEXT, TEXT, INT64, INT64, TEXT, TEXT)
def test_span(time_ns: int, name: str, category: str, start: int, duration: int, device: str, error: str) -> None:
    expected = pb.Span(name=name, category=category, start_ns=start, duration_ns=duration, device=device, error=error)
    same(time_ns, wire.span(name, category, start, duration, device, error), span=expected)


@given(TIMES, st.lists(TEXT, max_size=4), TEXT, TEXTS, TEXTS)
def test_start(time_ns: int, argv: list[str], cwd: str, versions: dict[str, str], config: dict[str, str]) -> None:
    payload = wire.start(argv, cwd, versions, config)
    expected = pb.JobStart(argv=argv, cwd=cwd, versions=versions, config=config)
    parsed = pb.Event.FromString(wire.event(time_ns, payload))
    assert parsed == pb.Event(time_ns=time_ns, start=expected)
    assert payload == wire.start(argv, cwd, dict(reversed(versions.items())), config)


@given(TIMES, INT32, TEXT)
def test_stop(time_ns: int, code: int, reason: str) -> None:
    same(time_ns, wire.stop(code, reason), stop=pb.JobStop(exit_code=code, reason=reason))


@given(TIMES, TEXT, TEXT, st.none() | INT32, st.none() | INT32, TEXT, TEXT)
def test_crash(
    time_ns: int, by: str, message: str, code: int | None, signal: int | None, kind: str, traceback: str
) -> None:
    expected = pb.JobCrash(
        exit_code=code, signal=signal, exception_type=kind, message=message, traceback=traceback, reported_by=by
    )
    same(time_ns, wire.crash(by, message, code, signal, kind, traceback), crash=expected)


@given(
    st.fixed_dictionaries(
        {
            "job_id": TEXT,
            "process_uuid": TEXT,
            "sequence": UINT64,
            "created_ns": INT64,
            "accelerator": st.integers(0, 3),
            "model": TEXT,
            "user": TEXT,
            "host": TEXT,
            "pid": st.integers(0, (1 << 32) - 1),
            "rank": st.none() | INT32,
            "world_size": st.none() | INT32,
            "sender": TEXT,
            "labels": TEXTS,
        }
    )
)
def test_batch(fields: dict[str, Any]) -> None:
    data = wire.batch_head(**fields) + wire.blob(15, wire.event(7, wire.stop(1, "x")))
    event = pb.Event(time_ns=7, stop=pb.JobStop(exit_code=1, reason="x"))
    assert pb.TelemetryBatch.FromString(data) == pb.TelemetryBatch(**fields, events=[event])


@given(st.text())
def test_any_text_has_bytes(text: str) -> None:
    assert isinstance(wire.text_bytes(text), bytes)
    wire.string(text).decode()


def test_what_was_not_utf8_comes_back() -> None:
    assert wire.text_bytes(b"caf\xe9".decode("utf-8", "surrogateescape")) == b"caf\xe9"


@given(st.binary(max_size=100) | st.text(max_size=50).map(wire.text_bytes), st.integers(4, 20))
def test_split_loses_nothing(text: bytes, longest: int) -> None:
    pieces = wire.split_text(text, longest)
    assert b"".join(piece.removesuffix(wire.CONTINUED) for piece in pieces[:-1]) + pieces[-1] == text
    assert all(piece.endswith(wire.CONTINUED) for piece in pieces[:-1])
    assert all(len(piece.removesuffix(wire.CONTINUED)) <= longest for piece in pieces)


def test_split_copies_each_byte_once() -> None:
    copied = 0

    class Counted(bytes):
        def __getitem__(self, at: Any) -> Any:
            nonlocal copied
            found = super().__getitem__(at)
            if isinstance(found, int):
                return found
            copied += len(found)
            return Counted(found)

    text = Counted(b"x" * 100_000)
    assert len(wire.split_text(text, 1000)) == 100
    assert copied == len(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50), st.integers(4, 20))
def test_split_keeps_characters_whole(text: str, longest: int) -> None:
    for piece in wire.split_text(text.encode(), longest):
        piece.decode()

"""Reading events from bytes: the kernel says what protobuf says, or nothing."""

from __future__ import annotations

import random

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow import kernels
from tracewinnow.schemas.telemetry_pb2 import Event, LogLine, TelemetryBatch
from tracewinnow.transforms import events
from tracewinnow.transforms.assemble import assemble
from tracewinnow.transforms.events import BIT, Survey, logs, survey

INT64 = st.integers(-(2**63), 2**63 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
LINES = st.builds(
    LogLine,
    text=st.one_of(st.binary(max_size=20), st.text(max_size=20).map(str.encode)),
    stream=st.integers(0, 9),
    logger=st.text(max_size=5),
    level=INT32,
    rank=st.none() | INT32,
)
EVENTS = st.one_of(
    st.builds(Event, time_ns=INT64, log=LINES),
    st.builds(Event, log=LINES),
    st.builds(Event, time_ns=INT64),
    st.builds(lambda t: Event(time_ns=t, stop={"exit_code": 3}), INT64),
    st.builds(lambda t: Event(time_ns=t, crash={"message": "no"}), INT64),
    st.builds(lambda t: Event(time_ns=t, metrics={"step": 4}), INT64),
)
BATCHES = st.builds(
    TelemetryBatch,
    job_id=st.text(max_size=4),
    rank=st.none() | INT32,
    events=st.lists(st.one_of(LINES.map(lambda line: Event(log=line)), EVENTS)),
)


def said(batch: TelemetryBatch) -> Survey:
    """By protobuf."""
    times = [event.time_ns for event in batch.events]
    kinds = {event.WhichOneof("kind") for event in batch.events}
    return Survey(len(times), min(times, default=0), max(times, default=0), sum(BIT[kind] for kind in kinds))


def agree(data: bytes) -> None:
    """What is read of these bytes is what protobuf reads, by kernel and reference."""
    try:
        batch = TelemetryBatch.FromString(data)
    except DecodeError:
        return  # the kernel may say anything of what nobody asks it about, but it must come back
    assert survey(batch, data) == said(batch)
    found = logs(data, 7)
    if found is not None:
        lines = [event.log for event in batch.events]
        assert found.texts == [line.text.decode("utf8", "surrogateescape") for line in lines]
        assert found.times == [event.time_ns for event in batch.events]
        assert found.ranks == [line.rank if line.HasField("rank") else 7 for line in lines]
        assert found.levels == [line.level for line in lines]
        assert found.size == sum(len(line.text) for line in lines)
    both = [assemble([data]), assemble([batch])]
    assert both[0].lines == both[1].lines
    assert (both[0].times_ns, both[0].ranks, both[0].levels) == (both[1].times_ns, both[1].ranks, both[1].levels)
    assert both[0].bytes_before == both[1].bytes_before


@given(BATCHES)
def test_what_senders_write(batch: TelemetryBatch) -> None:
    agree(batch.SerializeToString())


@given(BATCHES, BATCHES, st.randoms(use_true_random=False))
def test_any_bytes(batch: TelemetryBatch, other: TelemetryBatch, rng: random.Random) -> None:
    """Damaged, cut, merged, and with fields said twice: protobuf is right or the kernel keeps silent."""
    data = bytearray(batch.SerializeToString() + other.SerializeToString())
    for _ in range(rng.randrange(4)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    data = data[: rng.randrange(len(data) + 1)] if rng.random() < 0.3 else data
    kernel = kernels.kernel("transforms._events")
    assert kernel is not None
    kernel.survey(bytes(data))
    kernel.logs(bytes(data), -1)
    try:
        agree(bytes(data))
    except ValueError as wrong:  # a vector of a kind that validation refuses
        assert "dtype" in str(wrong)  # noqa: PT017


@pytest.mark.parametrize(
    "twice",
    [
        Event(time_ns=1).SerializeToString() + Event(time_ns=2).SerializeToString(),
        Event(log={"text": b"a"}).SerializeToString() + Event(stop={}).SerializeToString(),
        Event(log={"text": b"a"}).SerializeToString() + Event(log={"level": 4}).SerializeToString(),
        b"\x12\x06\x0a\x01a\x0a\x01b",  # a log line with two texts
    ],
)
def test_what_is_said_twice_is_left_to_protobuf(twice: bytes) -> None:
    kernel = kernels.kernel("transforms._events")
    assert kernel is not None
    data = b"\x7a" + bytes([len(twice)]) + twice
    assert kernel.logs(data, 0) is None
    agree(data)


def test_a_line_end_in_a_text_and_other_kinds_are_left_to_the_reference() -> None:
    assert logs(TelemetryBatch(events=[Event(log={"text": b"a\nb"})]).SerializeToString(), 0) is None
    assert logs(TelemetryBatch(events=[Event(stop={})]).SerializeToString(), 0) is None
    assert logs(TelemetryBatch(events=[Event(log={})]).SerializeToString(), 5) == ([""], [0], [5], [0], 0)


def test_fields_of_later_versions_are_passed_over() -> None:
    later = b"\xa0\x06\x07" + b"\xa9\x06" + b"12345678" + b"\xb2\x06\x02hi" + b"\xbd\x06" + b"1234"
    log = LogLine(text=b"a", level=-3).SerializeToString() + later
    event = Event(time_ns=-5).SerializeToString() + b"\x12" + bytes([len(log)]) + log + later
    agree(later + b"\x7a" + bytes([len(event)]) + event)
    assert logs(b"\x7a" + bytes([len(event)]) + event, -1) == (["a"], [-5], [-1], [-3], 1)


def test_the_kernel_knows_all_kinds() -> None:
    assert max(field.number for field in events.KINDS) == 10, "LAST_KIND of _events.pyx"


def test_the_reference_answers_without_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "kernel", lambda name: None)
    batch = TelemetryBatch(events=[Event(time_ns=3, log={"text": b"a"}), Event(time_ns=1, stop={})])
    found = survey(batch, batch.SerializeToString())
    assert found == said(batch)
    assert found.holds("stop", "crash")
    assert not found.holds("layers", "sparse")
    assert logs(batch.SerializeToString(), 0) is None

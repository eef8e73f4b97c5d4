"""Cutting: lines out of chunks, batches out of events, and going on from any state."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracewinnow.logger import cutter, spool, spool_writer, wire
from tracewinnow.logger.cutter import Cutter, Identity
from tracewinnow.schemas import validate
from tracewinnow.schemas.errors import BadInput
from tracewinnow.schemas.telemetry_pb2 import TelemetryBatch

UUID = "b" * 32
IDENTITY = Identity("job", UUID, "gpu", rank=3)
NOW = 1_700_000_000_000_000_000


def texts(batches: list[cutter.Batch]) -> list[bytes]:
    return [event.log.text for batch in batches for event in TelemetryBatch.FromString(batch.data).events]


def cut_all(work: Cutter) -> list[cutter.Batch]:
    found = []
    while work.read(final=True) or work.due or work.full():
        if batch := work.cut():
            found.append(batch)
    if batch := work.cut():
        found.append(batch)
    return found


@given(
    data=st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"\r", b"", b"line\n", b"\xff\xfe", b"x" * 50]), max_size=60),
    cuts=st.lists(st.integers(0, 200), max_size=10),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_lines_do_not_depend_on_chunks(
    tmp_path_factory: pytest.TempPathFactory, data: list[bytes], cuts: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("spool")
    stream = b"".join(data)
    lane = spool_writer.Writer(directory, UUID, "tee", 1)
    borders = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for begin, end in itertools.pairwise(borders):
        lane.append(spool.STDOUT, stream[begin:end], NOW)
    expected = [line.removesuffix(b"\r") for line in stream.split(b"\n")]
    # What stands behind the last line end is a line only when something stands there, and is kept as it is.
    expected[-1:] = [stream.rpartition(b"\n")[2]] if not stream.endswith(b"\n") and stream else []
    assert texts(cut_all(Cutter(directory, IDENTITY))) == expected


@given(seed=st.randoms(use_true_random=False), small=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_going_on_from_any_batch(tmp_path_factory: pytest.TempPathFactory, seed: object, small: bool) -> None:
    """A cutter that is thrown away after each batch cuts every event once."""
    import random

    assert isinstance(seed, random.Random)
    directory = tmp_path_factory.mktemp("spool")
    job, tee = spool_writer.Writer(directory, UUID, "job"), spool_writer.Writer(directory, UUID, "tee")
    said, printed = [], b""
    for number in range(seed.randrange(400)):
        if seed.random() < 0.5:
            said.append(b"event %d" % number)
            job.append(spool.EVENT, wire.log(said[-1], wire.API), NOW + number)
        else:
            chunk = seed.choice([b"part", b"end\n", b"\n\n\n", b"y" * 2000 + b"\n", b"a\nb\nc"])
            printed += chunk
            tee.append(seed.choice([spool.STDOUT, spool.STDOUT]), chunk, NOW + number)
    before, cutter.BATCH_EVENTS = cutter.BATCH_EVENTS, 7 if small else 100
    try:
        found: list[cutter.Batch] = []
        state = None
        for _ in range(100_000):
            work = Cutter(directory, IDENTITY, state, len(found))
            while not work.full() and work.read(final=True):
                pass
            batch = work.cut()
            if batch is None:
                break
            found.append(batch)
            state = batch.state
    finally:
        cutter.BATCH_EVENTS = before
    assert [batch.sequence for batch in found] == list(range(len(found)))
    events = [event.log for batch in found for event in TelemetryBatch.FromString(batch.data).events]
    assert [log.text for log in events if log.stream == wire.API] == said
    lines = [log.text for log in events if log.stream == wire.STDOUT]
    assert b"\n".join(lines) == printed.removesuffix(b"\n")


def test_a_batch_stays_below_what_a_broker_takes(tmp_path: Path) -> None:
    lane, tee = spool_writer.Writer(tmp_path, UUID, "job"), spool_writer.Writer(tmp_path, UUID, "tee")
    for number in range(10):
        lane.append(spool.EVENT, wire.log(b"x" * wire.LONGEST_TEXT, wire.API), NOW)
        tee.append(spool.STDOUT, b"\n" * 65536 if number == 7 else b"y" * 65536, NOW)
    lane.append(spool.EVENT, wire.log(b"x" * (spool.LARGEST - 100), wire.API), NOW)
    found = cut_all(Cutter(tmp_path, IDENTITY))
    assert max(len(batch.data) for batch in found) < 1_000_000
    joined = b"".join(text.removesuffix(wire.CONTINUED) for text in texts(found))
    assert joined.count(b"x") == 10 * wire.LONGEST_TEXT + spool.LARGEST - 100
    assert joined.count(b"y") == 9 * 65536
    assert sum(text == b"" for text in texts(found)) == 65536 - 1


@pytest.mark.parametrize("damaged", [False, True])
def test_lines_without_an_end_wait_for_the_next_batch(tmp_path: Path, damaged: bool) -> None:
    """A prompt or a progress bar on each stream, each as long as a line may be, behind a batch that is nearly full."""
    lane, tee = spool_writer.Writer(tmp_path, UUID, "job"), spool_writer.Writer(tmp_path, UUID, "tee", 1)
    for number in range(512):
        line = b"%0990d" % number
        if damaged:
            tee.append(spool.STDOUT, line + b"\n", NOW)
        else:
            lane.append(spool.LINE, b"\x14" + line, NOW)
    for _ in range(4):
        tee.append(spool.STDOUT, b"x" * (60 << 10), NOW)
        tee.append(spool.STDERR, b"y" * (60 << 10), NOW)
    if damaged:
        tee.append(spool.STDOUT, b"bad", NOW)
        for _ in range(20):
            tee.append(spool.STDERR, b"z" * 65535 + b"\n", NOW)
        path = sorted(tmp_path.glob("*.tee-*.spool"))[0]
        path.write_bytes(path.read_bytes().replace(b"bad", b"BAD"))
    found = cut_all(Cutter(tmp_path, IDENTITY))
    assert max(len(batch.data) for batch in found) < 950_000
    joined = b"".join(texts(found))
    assert (joined.count(b"x"), joined.count(b"y")) == (240 << 10, 240 << 10)
    assert sum(len(text) == 990 for text in texts(found)) == 512
    assert joined.count(wire.MISSING) == 2 * damaged
    assert joined.count(b"damaged on disk") == damaged


def test_one_batch_is_told_instead_of_another(tmp_path: Path) -> None:
    lane = spool_writer.Writer(tmp_path, UUID, "job")
    lane.append(spool.LINE, b"\x14line", NOW)
    work = Cutter(tmp_path, IDENTITY)
    work.read()
    batch = work.cut()
    assert batch is not None
    other = work.instead(batch, "it was too large")
    assert other[:3] == batch[:3]
    assert texts([other]) == [b"tracewinnow: events are lost: it was too large"]
    validate.check(TelemetryBatch.FromString(other.data), time.time_ns())


def test_a_record_without_room_waits_for_the_next_batch(tmp_path: Path) -> None:
    lane = spool_writer.Writer(tmp_path, UUID, "job")
    for number in range(4500):
        lane.append(spool.LINE, b"\x14" + b"%05d" % number + b"x" * 85, NOW)
    for _ in range(2):
        lane.append(spool.CRASH, wire.crash("excepthook", "y" * 440_000), NOW)
    lane.append(spool.LINE, b"\x14after", NOW)
    found = cut_all(Cutter(tmp_path, IDENTITY))
    assert max(len(batch.data) for batch in found) <= spool.LARGEST + 1000
    assert cut_all(Cutter(tmp_path, IDENTITY, found[0].state, 1)) == found[1:]
    lines = [text for text in texts(found) if text]
    assert [int(line[:5]) for line in lines[:-1]] == list(range(4500))
    assert lines[-1] == b"after"
    kinds = [e.WhichOneof("kind") for batch in found for e in TelemetryBatch.FromString(batch.data).events]
    assert kinds == ["log"] * 4500 + ["crash"] * 2 + ["log"]


@pytest.mark.parametrize("seen", [False, True])
def test_lanes_of_children_that_have_ended_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: bool) -> None:
    """More of them than a process may have files open, and each takes megabytes of the disk."""
    monkeypatch.setattr(cutter, "OPEN_LANES", 15)
    dead: set[str] = set()
    lanes = [f"fork{number}x1" for number in range(1, 21)]
    writers = [spool_writer.Writer(tmp_path, UUID, lane, 1) for lane in lanes]
    for number, writer in enumerate(writers):
        writer.append(spool.LINE, b"\x14%d" % number, NOW)
    work = Cutter(tmp_path, IDENTITY, gone=dead.__contains__)
    work.release()
    open_before = len(os.listdir("/proc/self/fd"))
    if seen:
        work.read(final=True)
        assert work.cut() is not None
        work.release()
        assert len(spool.lanes(tmp_path, UUID)) == 20
    assert len(os.listdir("/proc/self/fd")) == open_before
    writers[7].append(spool.LINE, b"\x14last words", NOW)
    dead |= set(lanes) - {"fork1x1"}
    while work.read(final=True):
        pass
    assert len(spool.lanes(tmp_path, UUID)) == 20  # nothing of it is recorded yet
    batch = work.cut()
    assert batch is not None
    work.release()
    assert spool.lanes(tmp_path, UUID) == ["fork1x1"]
    assert b"last words" in texts([batch])
    writers[0].append(spool.LINE, b"\x14lives", NOW)
    work.read(final=True)
    batch = work.cut()
    assert batch is not None
    assert texts([batch]) == [b"lives"]
    assert b"fork1x1" in batch.state
    assert b"fork2x1" not in batch.state


def test_an_end_is_cut_at_once(tmp_path: Path) -> None:
    lane = spool_writer.Writer(tmp_path, UUID, "job")
    lane.append(spool.EVENT, wire.log(b"x", wire.API), NOW)
    work = Cutter(tmp_path, IDENTITY)
    work.read()
    assert not work.due
    lane.append(spool.CRASH, wire.crash("test", "boom"), NOW)
    work.read()
    assert work.due
    assert (work.said, work.ended) == ("crash", False)
    lane.append(spool.END, b"", NOW)
    work.read()
    assert work.ended


def test_record_times_never_go_back(tmp_path: Path) -> None:
    lane = spool_writer.Writer(tmp_path, UUID, "job")
    work = Cutter(tmp_path, IDENTITY)
    created = []
    for time_ns in (NOW, NOW - 5_000_000_000, NOW + 7, 1 << 62):  # a clock that is set back, and one from the future
        lane.append(spool.EVENT, wire.log(b"x", wire.API), time_ns)
        work.read()
        batch = work.cut()
        assert batch is not None
        created.append(batch.created_ns)
    assert created[:3] == [NOW, NOW, NOW + 7]
    assert NOW + 7 < created[3] < 1 << 61


def test_a_clock_that_was_set_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back by little, a record time stays where it was; back by much, it would be refused until the old time comes again."""
    lane = spool_writer.Writer(tmp_path, UUID, "job")
    work = Cutter(tmp_path, IDENTITY)
    now, created = NOW, []
    monkeypatch.setattr(time, "time_ns", lambda: now)
    for step in (0, 3600, -200, 1, -3500, 1, 1):  # seconds from the time before
        now += step * 10**9
        lane.append(spool.EVENT, wire.log(b"x", wire.API), now)
        work.read()
        batch = work.cut()
        assert batch is not None
        created.append((batch.created_ns - NOW) // 10**9)
        validate.check(TelemetryBatch.FromString(batch.data), now)
        work = Cutter(tmp_path, IDENTITY, batch.state, work.sequence)
    assert created == [0, 3600, 3600, 3600, -99, -98, -97]


@pytest.mark.parametrize("wrong", [3600 * 10**9, -(1 << 60), -(1 << 62), 1 << 61])
def test_one_event_of_a_wrong_clock_does_not_sink_the_others(tmp_path: Path, wrong: int) -> None:
    lane, now = spool_writer.Writer(tmp_path, UUID, "job"), time.time_ns()
    for text, time_ns in ((b"before", now), (b"wrong", now + wrong), (b"after", now)):
        lane.append(spool.LINE, b"\x14" + text, time_ns)
    work = Cutter(tmp_path, IDENTITY)
    work.read()
    batch = work.cut()
    assert batch is not None
    validate.check(TelemetryBatch.FromString(batch.data), time.time_ns())
    times = [event.time_ns for event in TelemetryBatch.FromString(batch.data).events]
    assert (times[0], times[2]) == (now, now)
    assert now <= times[1] <= time.time_ns()


def test_a_line_without_an_end_is_not_kept_for_ever(tmp_path: Path) -> None:
    lane = spool_writer.Writer(tmp_path, UUID, "tee")
    lane.append(spool.STDERR, b"\r 10%\r 11%", NOW)
    work = Cutter(tmp_path, IDENTITY)
    work.read()
    batch = work.cut()
    assert batch is not None
    assert texts([batch]) == [b"\r 10%\r 11%"]


def test_a_strange_state_is_refused(tmp_path: Path) -> None:
    for state in (b"", b"[]", b"{}", b'{"created_ns":1,"said":"","ended":false,"lanes":{"job":[1]},"partial":{}}'):
        with pytest.raises(BadInput, match="corrupt-outbox"):
            Cutter(tmp_path, IDENTITY, state, 1)


def test_a_damaged_segment_is_told(tmp_path: Path) -> None:
    lane = spool_writer.Writer(tmp_path, UUID, "job", 1)
    for _ in range(5):
        lane.append(spool.EVENT, wire.log(b"z" * 500_000, wire.API), NOW)
    path = sorted(tmp_path.glob("*.spool"))[0]
    data = bytearray(path.read_bytes())
    data[100_000] ^= 1
    path.write_bytes(data)
    assert any(b"damaged on disk" in text for text in texts(cut_all(Cutter(tmp_path, IDENTITY))))


def test_damage_ends_the_line_before_it(tmp_path: Path) -> None:
    """With what comes behind the damage it would be a line that nobody has printed."""
    lane = spool_writer.Writer(tmp_path, UUID, "tee", 1)
    line = b"y" * 199_999 + b"\n"
    for number in range(12):
        assert lane.append(spool.STDOUT, b"end %d\n" % number + line + b"begin %d " % number, NOW)
    path = sorted(tmp_path.glob("*.spool"))[0]
    data = bytearray(path.read_bytes())
    data[700_000] ^= 1
    path.write_bytes(data)
    found = [text for text in texts(cut_all(Cutter(tmp_path, IDENTITY))) if text[:1] != b"y"]
    assert found[:4] == [b"end 0", b"begin 0 end 1", b"begin 1 end 2", b"begin 2 " + wire.MISSING]
    assert b"damaged on disk" in found[4]
    assert found[5].startswith(b"end ")
    assert all(text.startswith(b"begin ") for text in found[6:])

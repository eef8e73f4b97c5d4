"""Batches -> trace: one order whatever the order of arrival, job events as lines, numbers as series."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow.schemas.telemetry_pb2 import (
    ACCELERATOR_GPU,
    DTYPE_FLOAT32,
    Event,
    TelemetryBatch,
)
from tracewinnow.transforms.assemble import UNKNOWN, assemble
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.preprocess import preprocess

SECOND = 1_000_000_000


def batch(process: str = "a", sequence: int = 0, rank: int | None = 0, job: str = "j") -> TelemetryBatch:
    made = TelemetryBatch(job_id=job, process_uuid=process, sequence=sequence, accelerator=ACCELERATOR_GPU)
    if rank is not None:
        made.rank = rank
    return made


def log(to: TelemetryBatch, time_ns: int, text: bytes, level: int = 20) -> None:
    event = to.events.add(time_ns=time_ns)
    event.log.text, event.log.level = text, level


def crash(rank: int | None, time_ns: int, kind: str = "", message: str = "", **more: int | str) -> TelemetryBatch:
    made = batch(f"p{rank}", 0, rank)
    event = made.events.add(time_ns=time_ns)
    event.crash.exception_type, event.crash.message = kind, message
    for name, value in more.items():
        setattr(event.crash, name, value)
    return made


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.binary(max_size=5)), max_size=30), st.randoms())
def test_the_order_of_arrival_does_not_matter(said: list[tuple[int, int, bytes]], rng: random.Random) -> None:
    batches = []
    for number, (rank, time_ns, text) in enumerate(said):
        batches.append(batch(f"p{rank}", number, rank))
        log(batches[-1], time_ns, text)
    wanted = assemble(batches)
    rng.shuffle(batches)
    found = assemble(batches)
    assert (found.lines, found.times_ns, found.ranks) == (wanted.lines, wanted.times_ns, wanted.ranks)
    assert found.processes == wanted.processes
    assert found.times_ns == sorted(found.times_ns)
    text = b"\n".join(text for _, _, text in sorted(said, key=lambda s: s[1]))
    assert sorted("\n".join(found.lines).encode("utf-8", "surrogateescape")) == sorted(text)


def test_lines_of_one_event_stay_together_and_bytes_survive() -> None:
    one, other = batch("a", 0, 0), batch("b", 0, 1)
    log(one, 5, b"first\nsecond \xff")
    log(other, 5, b"third")
    trace = assemble([other, one])
    assert trace.lines == ["first", "second \udcff", "third"]
    assert trace.ranks == [0, 0, 1]
    assert trace.bytes_before == 19


def test_processes_say_the_same_in_one_line() -> None:
    trace = assemble([crash(r, 10 + r, "ValueError", "bad shard") for r in (0, 1, 2, 5)])
    assert trace.lines == ["job crash: ranks 0-2,5: ValueError: bad shard"]
    assert trace.events == ["crash"]
    assert trace.job is not None
    assert (trace.job.outcome, trace.job.reason) == ("crashed", "ValueError: bad shard")


def test_a_killed_process_is_the_cause_of_its_neighbours_exceptions() -> None:
    told = [crash(0, 10, "ConnectionError", "rank 1 is gone"), crash(2, 11, "ConnectionError", "rank 1 is gone")]
    killed = crash(1, 10 + SECOND, "", "killed by SIGKILL", signal=9)
    trace = assemble([*told, killed])
    assert trace.job is not None
    assert (trace.job.reason, trace.job.exit_code) == ("killed by SIGKILL", 137)
    # Many killed ones are a launcher that cleans up.
    trace = assemble([*told, killed, crash(3, 10 + SECOND, "", "killed by SIGKILL", signal=9)])
    assert trace.job is not None
    assert trace.job.reason == "ConnectionError: rank 1 is gone"


def test_what_repeats_a_crash_is_a_line_like_any_other() -> None:
    trace = assemble(
        [crash(r, 10 + r, "TimeoutError", f"rank {r} waits") for r in range(3)]
        + [crash(None, 20, "", "exit code 1", exit_code=1)]
    )
    assert trace.lines[-1] == "job crash: exit code 1"
    assert trace.events == ["crash", "", "", ""]


def test_a_traceback_is_added_where_nobody_printed_it() -> None:
    traceback = "Traceback (most recent call last):\n  x\nValueError: bad"
    silent = assemble([crash(0, 5, "ValueError", "bad", traceback=traceback)])
    assert silent.lines == [*traceback.split("\n"), "job crash: rank 0: ValueError: bad"]
    loud = crash(0, 5, "ValueError", "bad", traceback=traceback)
    log(loud, 4, traceback.encode())
    assert assemble([loud]).lines == silent.lines


def test_a_traceback_of_which_only_the_last_line_was_printed_is_added() -> None:
    traceback = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\nValueError: bad'
    short = crash(0, 5, "ValueError", "bad", traceback=traceback)
    log(short, 4, b"ValueError: bad")
    assert assemble([short]).lines == ["ValueError: bad", *traceback.split("\n"), "job crash: rank 0: ValueError: bad"]


def test_start_stop_and_state() -> None:
    made = batch()
    made.host, made.model, made.user, made.world_size = "node1", "llama", "ann", 8
    start = made.events.add(time_ns=1)
    start.start.argv.extend(["python", "train.py"])
    start.start.config["lr"] = "0.1"
    made.events.add(time_ns=9).stop.exit_code = 0
    trace = assemble([made])
    assert trace.lines == ["job start: rank 0 on node1: python train.py", "config: lr=0.1", "job stop: exit code 0"]
    assert trace.events == ["start", "start", "stop"]
    assert trace.job is not None
    assert (trace.job.model, trace.job.world_size, trace.job.started_ns, trace.job.outcome) == (
        "llama",
        8,
        1,
        "stopped",
    )
    assert not trace.job.HasField("exit_code")  # seven ranks have not said anything
    assert trace.accelerator == "gpu"


def stop(rank: int, code: int, world_size: int = 2) -> TelemetryBatch:
    made = batch("abcd"[rank], rank=rank)
    made.world_size = world_size
    made.events.add(time_ns=SECOND).stop.exit_code = code
    return made


def code_of(*batches: TelemetryBatch) -> int | None:
    job = assemble(batches).job
    assert job is not None
    return job.exit_code if job.HasField("exit_code") else None


def test_the_exit_code_is_known_when_all_ranks_have_stopped() -> None:
    assert code_of(stop(0, 0), stop(1, 0)) == 0
    assert code_of(stop(0, 0), stop(1, 3)) == 3
    assert code_of(stop(0, 0, world_size=0)) == 0
    assert code_of(stop(0, 0)) is None  # the other one stops in another window, or never
    going_on = batch("b", rank=1)
    log(going_on, 5, b"still here")
    assert code_of(stop(0, 0, world_size=0), going_on) is None
    assert code_of(stop(0, 0), crash(1, 5, "ValueError", "bad")) is None  # not the 0 of the one that stopped


def test_holes_in_a_sequence_are_ranges() -> None:
    trace = assemble([batch("a", n) for n in (0, 1, 4, 5, 9)])
    assert [(p.first, p.last) for p in trace.processes] == [(0, 1), (4, 5), (9, 9)]


def test_numbers_become_series() -> None:
    made = batch()
    for step in (2, 1):
        event = made.events.add(time_ns=step)
        event.metrics.step = step
        event.metrics.metrics.add(name="loss", value=step / 2)
    event = made.events.add(time_ns=3)
    event.layers.step, event.layers.statistic = 7, "grad_norm"
    event.layers.names.extend(["a", "b"])
    event.layers.values.dtype = DTYPE_FLOAT32
    event.layers.values.data = np.array([1.5, np.nan], "<f4").tobytes()
    span = made.events.add(time_ns=4).span
    span.name, span.duration_ns, span.error = "load", 50, "OSError: gone"
    sparse = made.events.add(time_ns=5).sparse
    sparse.name = "relu"
    sparse.shape.extend([2, 4])
    sparse.indices.data = np.array([1, 5], "<u4").tobytes()
    trace = assemble([made])
    found = {(s.name, s.statistic): (s.steps.tolist(), s.values.tolist()) for s in trace.series}
    assert found["loss", "metric"] == ([1, 2], [0.5, 1.0])
    assert found["a", "grad_norm"] == ([7], [1.5])
    assert np.isnan(found["b", "grad_norm"][1][0])
    assert (trace.spans[0].count, trace.spans[0].errors) == (1, ["OSError: gone"])
    assert trace.sparse[0].first_density == 0.25
    assert trace.numeric_events == 5


def test_a_job_from_files_is_imported() -> None:
    made = batch()
    made.sender = "tracewinnow-backfill/1"
    log(made, 7, b"x")
    trace = assemble([made])
    assert trace.job is not None
    assert (trace.job.outcome, trace.job.ended_ns) == ("imported", 7)


@pytest.mark.parametrize(("number", "code"), [(9, 137), (0, None), (2**31 - 1, None), (-(2**31), None)])
def test_a_signal_may_be_any_number(number: int, code: int | None) -> None:
    batch = TelemetryBatch(job_id="j", process_uuid="a" * 32, created_ns=1)
    batch.events.add(time_ns=1).crash.signal = number
    job = assemble([batch]).job
    assert job is not None
    assert (job.outcome, job.exit_code if job.HasField("exit_code") else None) == ("crashed", code)


def test_an_event_of_a_kind_that_we_do_not_know_is_counted() -> None:
    """As a newer sender sends it: whole in the archive, and said in the result."""
    made = batch()
    log(made, SECOND, b"hello")
    event = Event(time_ns=SECOND).SerializeToString() + b"\x5a\x0bnew kind 11"  # field 11
    data = made.SerializeToString() + bytes([15 << 3 | 2, len(event)]) + event
    for sent in (data, TelemetryBatch.FromString(data)):
        trace = assemble([sent])
        assert trace.lines == ["hello"]
        assert trace.numeric.left_out == {UNKNOWN: 1}
        assert trace.bytes_before == len(b"hello") + len(event)
        (note,) = [note.reason for note in preprocess(trace, Options()).notes if note.stage == "compress"]
        assert "of a kind that this version does not know" in note
        assert "the archive has them" in note

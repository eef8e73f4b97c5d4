"""What a job passes and a pipeline would refuse: one wrong value costs itself, and nothing beside it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tracewinnow.schemas import telemetry_pb2 as pb
from tracewinnow.schemas import validate

Job = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(autouse=True)
def accepted(spool: Any) -> Any:
    """Every batch that a test here leaves is one that a pipeline takes."""
    yield
    batches = spool.batches()
    assert batches
    for batch in batches:
        validate.check(batch, time.time_ns())


def test_the_name_of_the_job(job: Job, spool: Any) -> None:
    done = job("run.log('x'); print(run.job)", job="llama\n7b\n")
    assert done.stdout == b"llama 7b\n"
    assert done.stderr == (
        b"tracewinnow: the job is recorded as 'llama 7b', not 'llama\\n7b\\n': a name is one line of at most 256 bytes\n"
    )
    assert {batch.job_id for batch in spool.batches()} == {"llama 7b"}


def test_vectors(job: Job, spool: Any) -> None:
    done = job(
        """
import struct
run.vector(1, ["a", "b"], b"123", "x", 1)
run.vector(2, ["a", "b"], struct.pack("<3f", 1, 2, 3), "x", 1)
run.vector(3, ["a", "b"], struct.pack("<2f", 1, 2), "x", 2)
run.vector(4, ["a", "b"], struct.pack("<2f", 1, 2), "x", 99)
run.vector(5, ["a", "b"], struct.pack("<2f", 1, 2), "x", 1)
run.vector(6, ["a", "b"], struct.pack("<2e", 1, 2), "x", 3)
print(run.dropped)
"""
    )
    assert done.stdout == b"4\n"
    assert b"run.vector: ValueError: 3 bytes for 2 layers; 8 would be right" in done.stderr
    found = [event.layers for event in spool.events("layers")]
    assert [layers.step for layers in found] == [5, 6]
    assert np.frombuffer(found[0].values.data, "<f4").tolist() == [1, 2]


def test_levels(job: Job, spool: Any) -> None:
    job("for level in (-5, 0, 255, 256, 2**31 - 1, 2**31, 2**80, -(2**31) - 1, True): run.log(str(level), level)")
    found = {event.log.text.decode(): event.log.level for event in spool.events("log")}
    expected = {-5: -5, 0: 0, 255: 255, 256: 256, 2**31 - 1: 2**31 - 1, 2**31: 20, 2**80: 20, -(2**31) - 1: 20}
    assert found == {**{str(level): kept for level, kept in expected.items()}, "True": 1}


def test_metrics(job: Job, spool: Any) -> None:
    done = job(
        """
run.metrics(1, {"loss": 0.5, "note": "high", "shape": [1, 2], "eval": {"acc": 1, "x": object()}, "lr": 0.1})
print(run.dropped)
run.metrics("x", {"loss": 1.0})
print(run.dropped)
"""
    )
    assert done.stdout == b"3\n4\n"
    assert b"run.metrics: 'note' is no number (ValueError)" in done.stderr
    (found,) = spool.events("metrics")
    assert [(one.name, one.value) for one in found.metrics.metrics] == [("loss", 0.5), ("eval/acc", 1), ("lr", 0.1)]


def test_the_end_is_said_once_by_however_many_threads(job: Job, spool: Any) -> None:
    done = job(
        """
import threading
barrier = threading.Barrier(8)
def end():
    barrier.wait()
    run.finish()
    assert run._finished  # who comes second waits
threads = [threading.Thread(target=end) for _ in range(8)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print(run.dropped)
"""
    )
    assert (done.stdout, done.stderr) == (b"0\n", b"")
    assert len(spool.events("stop")) == 1


def test_an_end_within_the_end_is_none(job: Job, spool: Any) -> None:
    """As of a signal handler that finishes the run while it is being finished."""
    done = job(
        """
drain = run._companion.drain
run._companion.drain = lambda: (run.finish(3), drain())
run.finish()
print(run.dropped)
"""
    )
    assert (done.stdout, done.stderr) == (b"0\n", b"")
    assert [event.stop.exit_code for event in spool.events("stop")] == [0]
    assert spool.events("crash") == []


def test_events_of_a_clock_that_was_ahead(job: Job, spool: Any) -> None:
    """It ran ahead by an hour at the start and was set right."""
    job(
        "time.time_ns = now\nrun.log('after')",
        setup="import time\nnow = time.time_ns\ntime.time_ns = lambda: now() + 3600 * 10**9",
    )
    assert spool.lines(pb.STREAM_API) == [b"after"]

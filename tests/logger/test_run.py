"""Real jobs: what they log is recorded, however they end, and nothing of ours reaches them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tracewinnow.logger.process import Watched
from tracewinnow.schemas import telemetry_pb2 as pb

# A mutex that is locked twice: no signal makes that return, and the interpreter's lock is free meanwhile.
HANG = """
import ctypes
def hang():
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(256)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)
"""
CAUGHT = """
import sys
try:
    sys.exit(3)
except SystemExit:
    pass
"""
Job = Callable[..., "subprocess.CompletedProcess[bytes]"]


def test_everything_that_a_run_records(job: Job, spool: Any) -> None:
    done = job(
        """
import numpy as np
run.log("plain")
run.log("bad", level="error")
run.log(b"caf\\xe9".decode("utf-8", "surrogateescape"), level=10)
run.metrics(7, {"loss": 1.5, "eval": {"acc": np.float32(0.5)}})
run.layers(7, {"w": np.array([3.0, 4.0])}, statistic="weight_norm")
with run.span("step", category="train"):
    pass
try:
    with run.span("load"):
        raise KeyError("shard-3")
except KeyError:
    pass
run.memory()
run.finish()
run.log("after the end")
""",
        rank=3,
        world_size=8,
        model="m",
        user="u",
        config={"lr": 3e-4},
        labels={"cluster": "a"},
    )
    assert done.returncode == 0
    assert done.stderr.count(b"tracewinnow") == 1
    assert b"the run is finished" in done.stderr
    batch = spool.batches()[0]
    assert (batch.job_id, batch.accelerator, batch.model, batch.user) == ("job-1", pb.ACCELERATOR_GPU, "m", "u")
    assert (batch.rank, batch.world_size, dict(batch.labels)) == (3, 8, {"cluster": "a"})
    assert (batch.pid > 0, bool(batch.host)) == (True, True)
    assert batch.sender.startswith("tracewinnow-logger/")
    events = spool.events()
    assert [event.WhichOneof("kind") for event in events] == (
        ["start", "log", "log", "log", "metrics", "layers", "span", "span", "memory", "stop"]
    )
    start, plain, bad, raw, metrics, layers, span, failed, memory, stop = events
    assert start.start.config["lr"] == "0.0003"
    assert {"python", "tracewinnow", "numpy"} <= set(start.start.versions) | {"numpy"}
    assert (plain.log.text, plain.log.level, plain.log.stream) == (b"plain", 20, pb.STREAM_API)
    assert (bad.log.level, raw.log.text) == (40, b"caf\xe9")
    assert [(m.name, m.value) for m in metrics.metrics.metrics] == [("loss", 1.5), ("eval/acc", 0.5)]
    assert (layers.layers.step, layers.layers.statistic, layers.layers.names) == (7, "weight_norm", ["w"])
    assert np.frombuffer(layers.layers.values.data, "<f8").tolist() == [5.0]
    assert (span.span.name, span.span.category, span.span.error) == ("step", "train", "")
    assert failed.span.error == "KeyError: 'shard-3'"
    assert memory.memory.device == "host"
    assert memory.memory.used_bytes > 1 << 20
    assert stop.stop.exit_code == 0
    assert all(abs(event.time_ns - time.time_ns()) < 300e9 for event in events)


def kernel_tells() -> bool:
    """Whether it does how a process ended whose parent has asked for that already."""
    process = subprocess.Popen(["true"])
    watched = Watched(process.pid)
    process.wait()
    return watched.status() is not None


@pytest.mark.parametrize(
    ("code", "status", "fields"),
    [
        ("run.log('x')", 0, None),
        ("import sys; sys.exit(3)", 3, {"exit_code": 3}),
        ("import sys; sys.exit('no data')", 1, {"exit_code": 1}),
        (
            "import sys\ndef main():\n    try: sys.exit(3)\n    finally: run.log('x')\nmain()",
            3,
            {"reported_by": "finish"},
        ),
        (CAUGHT, 0, None),
        (f"{CAUGHT}sys.exit(0)", 0, None),
        (f"{CAUGHT}sys.exit(4)", 4, {"exit_code": 4}),
        (f"{CAUGHT}raise KeyError", 1, {"exception_type": "KeyError"}),
        ("import sys\ntry: sys.exit(3)\nexcept SystemExit as kept: held = kept", 0, None),
        ("import sys, threading; t = threading.Thread(target=sys.exit, args=(3,)); t.start(); t.join()", 0, None),
        ("import sys; sys.exit(0)", 0, None),
        (
            "raise ValueError('boom')",
            1,
            {"exception_type": "ValueError", "message": "boom", "reported_by": "excepthook"},
        ),
        ("import os; os._exit(4)", 4, {"exit_code": 4, "reported_by": "shipper"}),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, {"signal": 9, "reported_by": "shipper"}),
        ("import ctypes; ctypes.string_at(0)", -11, {"signal": 11, "reported_by": "shipper"}),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, {"signal": 15, "reported_by": "shipper"}),
        ("with run: raise RuntimeError('in with')", 1, {"exception_type": "RuntimeError", "reported_by": "with"}),
        ("with run:\n    import sys; sys.exit(5)", 5, {"exit_code": 5}),
        ("run.finish(exit_code=6)", 0, {"exit_code": 6}),
    ],
)
def test_how_a_job_ends(job: Job, spool: Any, code: str, status: int, fields: dict[str, Any] | None) -> None:
    assert job(code, capture=False).returncode == status
    ends = spool.events("stop") + spool.events("crash")
    assert len(ends) == 1
    if fields is None:
        assert (ends[0].WhichOneof("kind"), ends[0].stop.exit_code) == ("stop", 0)
    else:
        crash = ends[0].crash
        known = {"exit_code", "signal"} & {field.name for field, _ in crash.ListFields()}
        if crash.reported_by == "shipper" and not known:
            # A kernel before 6.15 does not tell how a process ended that is not our child.
            assert crash.message == "process ended without saying goodbye"
        else:
            assert {name: getattr(crash, name) for name in fields} == fields
    assert not list(spool.path.glob("*.spool"))


@pytest.mark.parametrize("capture", [False, True])
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import os; os._exit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("import ctypes; ctypes.string_at(0)", -11),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
    ],
)
def test_a_job_that_is_gone_before_its_shipper_looks(
    start_job: Callable[..., Any], spool: Any, capture: bool, code: str, status: int
) -> None:
    """Its parent asks how it ended at once, and the shipper has just begun to start."""
    assert start_job(code, capture=capture).wait(20) == status
    (crash,) = (event.crash for event in spool.events("crash"))
    assert (crash.exit_code, crash.signal) == ((max(status, 0), max(-status, 0)) if kernel_tells() else (0, 0))
    assert spool.events("stop") == []


@pytest.mark.parametrize("capture", [False, True])
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise SystemExit(3)", 3),
        ("exit(4)", 4),
        ("leave(5)", 5),
        ("raise SystemExit('no data')", 1),
        ("run.finish(); import os; os._exit(6)", 6),
        ("import os, signal; run.finish(); os.kill(os.getpid(), signal.SIGKILL)", -9),
    ],
)
def test_an_end_that_its_exit_code_belies(
    start_job: Callable[..., Any], spool: Any, capture: bool, code: str, status: int
) -> None:
    """The job says that it is finished; the shipper sees more."""
    process = start_job(code, setup="from sys import exit as leave", capture=capture)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # not yet asked for: any kernel tells a zombie's status
    spool.settle()
    assert process.wait(20) == status
    (stop,), (crash,) = spool.events("stop"), spool.events("crash")
    assert (stop.stop.exit_code, crash.crash.reported_by) == (0, "shipper")
    assert (crash.crash.exit_code, crash.crash.signal) == (max(status, 0), max(-status, 0))
    assert spool.events()[-1] == crash
    assert not list(spool.path.glob("*.spool"))


def test_a_fatal_signal_leaves_its_stack(job: Job, spool: Any) -> None:
    job("def inner():\n    import ctypes; ctypes.string_at(0)\ninner()")
    assert any(b"Segmentation fault" in line for line in spool.lines(pb.STREAM_STDERR))
    assert any(b"in inner" in line for line in spool.lines(pb.STREAM_STDERR))


def test_the_previous_sigterm_handler_is_called(job: Job, spool: Any) -> None:
    setup = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(9)))"
    done = job("import os; os.kill(os.getpid(), signal.SIGTERM)", setup=setup)
    assert (done.returncode, done.stdout) == (9, b"saved\n")
    assert b"tracewinnow: SIGTERM received" in spool.lines(pb.STREAM_LOGGING)
    assert [event.crash.exit_code for event in spool.events("crash")] == [9]


def test_sigterm_ends_a_job_that_hangs_in_native_code(start_job: Callable[..., Any], spool: Any) -> None:
    """The main thread waits in C for ever and no handler of Python can run, as in a collective without its peer."""
    process = start_job("print('ready', flush=True)\nhang()", setup=HANG)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == -signal.SIGTERM
    (crash,) = spool.events("crash")
    assert crash.crash.reported_by == "shipper"


def test_a_terminated_child_is_not_the_job(job: Job, spool: Any) -> None:
    done = job(
        """
import multiprocessing, os, signal, time
context = multiprocessing.get_context("fork")
for _ in range(5):
    child = context.Process(target=time.sleep, args=(60,))
    child.start(); child.terminate(); child.join()
pid = __import__("ctypes").CDLL(None).fork()  # as native code forks: no hook of Python runs
if not pid:
    time.sleep(60); os._exit(0)
time.sleep(0.1); os.kill(pid, signal.SIGTERM); os.waitpid(pid, 0)
print("alive")
"""
    )
    assert (done.returncode, done.stdout) == (0, b"alive\n")
    assert spool.events("crash") == []


def test_bad_arguments_never_reach_the_job(job: Job, spool: Any) -> None:
    done = job(
        """
class Nasty:
    def __str__(self): raise RuntimeError("no")
    def __float__(self): raise RuntimeError("no")
    def __iter__(self): raise RuntimeError("no")
for bad in (None, 3, object(), Nasty(), b"x", {"a": Nasty()}, [Nasty()], "\\ud800", 1 << 80, float("nan")):
    run.log(bad); run.log("x", level=bad); run.metrics(bad, bad); run.metrics(1, {"x": bad}); run.metrics(bad, {bad.__class__: 1})
    run.layers(bad, bad); run.layers(1, bad, statistic=bad); run.watch(bad); run.watch(bad, every=bad)
    with run.span(bad, category=bad): pass
print(run.dropped > 10, run.log("x"))
run.finish(exit_code=object(), timeout="soon")
""",
        config={"x": 1},
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"True None\n"
    assert done.stderr.count(b"tracewinnow:") == 1
    assert any(b"events could not be recorded" in line for line in spool.lines())


@pytest.mark.parametrize(
    "arguments",
    [
        {"spool": "/proc/nonexistent"},
        {"spool": 17},
        {"bootstrap": "not a broker:::"},
        {"bootstrap": "127.0.0.1:99999"},
        {
            "job": "",
            "rank": "x",
            "world_size": 1 << 70,
            "model": None,
            "user": 4,
            "labels": 5,
            "config": 6,
            "retain": "x",
        },
        {"accelerator": None},
        {"accelerator": "quantum"},
    ],
)
def test_a_job_runs_whatever_start_is_given(job: Job, arguments: dict[str, Any]) -> None:
    done = job("run.log('x'); run.metrics(1, {'a': 1}); print('here'); run.finish()", **arguments)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"here\n"
    assert b"Traceback" not in done.stderr


def test_a_broker_that_cannot_be_is_told_at_once_and_costs_the_job_nothing(job: Job, spool: Any) -> None:
    done = job("run.log('x'); print('here')", env={"TRACEWINNOW_BOOTSTRAP": "127.0.0.1:99999"})
    assert (done.returncode, done.stdout) == (0, b"here\n"), done.stderr.decode()
    first, *_, last = done.stderr.splitlines()
    assert first.startswith(b"tracewinnow: the port of '127.0.0.1:99999' is no number from 1 to 65535")
    assert last.endswith(f"tracewinnow sync {spool.path} --bootstrap HOST:PORT".encode())
    assert b"x" in spool.lines()


def test_threads(job: Job, spool: Any) -> None:
    job(
        """
import threading
def work(name):
    for number in range(500):
        run.log(f"{name} {number}")
threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
"""
    )
    lines = spool.lines(pb.STREAM_API)
    for name in range(8):
        mine = [line for line in lines if line.startswith(b"%d " % name)]
        assert mine == [b"%d %d" % (name, number) for number in range(500)]


def test_forked_children_do_not_disturb(job: Job, spool: Any) -> None:
    done = job(
        """
import os, multiprocessing, sys
def work(name):
    for number in range(200):
        run.log(f"child {name} {number}")
    print(f"printed by {name}\\n", end="", flush=True)  # one write, also where Python is told not to buffer
    if name == 2:
        raise ValueError("in a child")
context = multiprocessing.get_context("fork")
children = [context.Process(target=work, args=(name,)) for name in range(3)]
[child.start() for child in children]
for number in range(200):
    run.log(f"parent {number}")
[child.join() for child in children]
pid = os.fork()
if not pid:
    run.log("plain fork"); run.finish(); sys.exit(7)
os.waitpid(pid, 0)
run.log("still here")
"""
    )
    assert done.returncode == 0
    api = spool.lines(pb.STREAM_API)
    assert [line for line in api if line.startswith(b"parent")] == [b"parent %d" % number for number in range(200)]
    for name in range(3):
        mine = [line for line in api if line.startswith(b"child %d" % name)]
        assert mine == [b"child %d %d" % (name, number) for number in range(200)]
    assert b"plain fork" in api
    assert b"still here" in api
    assert sum(line.startswith(b"printed by") for line in spool.lines(pb.STREAM_STDOUT)) == 3
    assert len(spool.events("stop")) == 1
    assert spool.events("crash") == []


def test_a_long_text_is_split_and_whole(job: Job, spool: Any) -> None:
    job("run.log('ä' * 400_000); run.log('short')")
    from tracewinnow.logger import wire

    *parts, short = spool.lines(pb.STREAM_API)
    assert len(parts) == 4
    assert b"".join(part.removesuffix(wire.CONTINUED) for part in parts).decode() == "ä" * 400_000
    assert short == b"short"


def test_large_sets_become_several_events(job: Job, spool: Any) -> None:
    job("run.metrics(1, {f'metric-{n}': n for n in range(2500)}); run.layers(1, {f'l{n}': n for n in range(2500)})")
    assert sum(len(event.metrics.metrics) for event in spool.events("metrics")) == 2500
    layers = [event.layers for event in spool.events("layers")]
    values = np.concatenate([np.frombuffer(layer.values.data, "<f8") for layer in layers])
    assert values.tolist() == list(range(2500))
    assert [name for layer in layers for name in layer.names] == [f"l{n}" for n in range(2500)]


def test_a_second_run_in_one_process(job: Job, spool: Any) -> None:
    done = job(
        f"""
other = tracewinnow.logger.start(job="job-2", spool={str(spool.path)!r})
other.log("two"); run.log("one"); print("printed")
"""
    )
    assert done.returncode == 0
    assert done.stdout == b"printed\n"
    by_job = {batch.job_id: [] for batch in spool.batches()}
    for batch in spool.batches():
        by_job[batch.job_id] += [event.log.text for event in batch.events if event.WhichOneof("kind") == "log"]
    assert sorted(line for line in by_job["job-1"] if b"tracewinnow" not in line) == [b"one", b"printed"]
    assert by_job["job-2"] == [b"two"]


@pytest.mark.parametrize("end", ["", "raise ValueError('x' * 100_000)"])
def test_a_full_disk(job: Job, spool: Any, end: str) -> None:
    """The job goes on, nothing raises, and the loss is told on stderr and in the record, where the end has room however long."""
    setup = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9 << 20, 9 << 20))"
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 9 << 20))
for number in range(20_000):
    run.log("x" * 1000)
print(0 < run.dropped < 20_000)
"""
    done = job(code + end, setup=setup, capture=False)
    assert done.returncode == bool(end)
    assert done.stdout == b"True\n"
    assert done.stderr.count(b"the spool cannot be written") == 1
    assert any(line.endswith(b"events could not be recorded") for line in spool.lines())
    if end:
        (crash,) = (event.crash for event in spool.events("crash"))
        assert (crash.exception_type, crash.reported_by) == ("ValueError", "excepthook")
        assert 1000 < len(crash.message) < 100_000
    assert len(spool.events("stop")) == (not end)


@pytest.mark.parametrize(
    ("room", "told", "lines"),
    [
        # For what is said at the beginning and at the end, and not for a segment.
        (4 << 20, [b"has little room"], [b"a line", b"x"]),
        # For an outbox alone.
        (100 << 10, [b"the spool cannot be written", b"7 bytes of output could not be recorded"], [None]),
    ],
)
@pytest.mark.parametrize("end", ["", "import os; os._exit(3)"])
def test_a_spool_without_room(
    start_job: Callable[..., Any], spool: Any, room: int, told: list[bytes], lines: list[bytes | None], end: str
) -> None:
    """What ran through did not crash, though it could not say so."""
    process = start_job(
        f"print('a line', flush=True); run.log('x')\n{end}",
        setup=f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))",
    )
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # not yet asked for: any kernel tells a zombie's status
    spool.settle()
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (3 if end else 0, b"a line\n")
    assert [what in line for what, line in zip(told, stderr.splitlines(), strict=True)] == [True] * len(told)
    found = sorted(spool.lines())
    if lines == [None]:
        assert [b"7 bytes of output could not be recorded" in line for line in found] == [True]
    else:
        assert found == lines
    assert [event.crash.exit_code for event in spool.events("crash")] == ([3] if end else [])
    assert len(spool.events("stop")) == (not end)


def test_the_import_is_light(job: Job) -> None:
    done = job(
        """
import sys
heavy = {"numpy", "google.protobuf", "confluent_kafka", "torch", "jax", "apache_beam", "click"} & set(sys.modules)
print(sorted(heavy))
""",
    )
    assert done.stdout == b"[]\n"


def test_the_end_is_bounded_when_the_broker_is_dead(job: Job, spool: Any, dead_port: str) -> None:
    began = time.monotonic()
    done = job("run.log('x')", bootstrap=dead_port)
    assert time.monotonic() - began < 20
    assert done.returncode == 0
    assert f"tracewinnow sync {spool.path} --bootstrap {dead_port}".encode() in done.stderr
    assert b"batch" in done.stderr
    assert spool.lines(pb.STREAM_API) == [b"x"]


def test_sigint_ends_the_job_and_is_recorded(start_job: Callable[..., Any], spool: Any) -> None:
    process = start_job("import time; print('ready', flush=True); time.sleep(60)")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == -signal.SIGINT
    assert [event.crash.exception_type for event in spool.events("crash")] == ["KeyboardInterrupt"]

"""Processes killed at any moment: every line whose `run.log` had returned is in the batches, once."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from tracewinnow.logger import identity, outbox, session, shipper, shipping, wire
from tracewinnow.logger import spool as segments
from tracewinnow.logger.descriptors import Held
from tracewinnow.logger.detached import ALL_DONE
from tracewinnow.logger.spool_writer import Writer
from tracewinnow.logger.sync import sync
from tracewinnow.schemas import telemetry_pb2 as pb

UUID = "c" * 32

# The count is stored as one machine word: struct.pack_into clears the bytes before it writes them, and a job killed between
# the two would have said that no call had returned.
COUNTING = """
import time
import mmap
with open({counter!r}, "r+b") as file:
    returned = memoryview(mmap.mmap(file.fileno(), 8)).cast("Q")
number = 0
while True:
    run.log("line %d" % number)
    if number % 50 == 0:
        time.sleep(0.001)  # or the embedded broker, which holds 5 MiB a partition, would drop the first of them
    number += 1
    returned[0] = number
"""


class Counting:
    """A job that logs numbered lines as fast as it can, and says in shared memory how many calls have returned."""

    def __init__(self, start_job: Callable[..., subprocess.Popen[bytes]], directory: Path, **arguments: Any) -> None:
        path = directory / "counter"
        path.write_bytes(bytes(8))
        with open(path, "r+b") as file:
            self._counter = memoryview(mmap.mmap(file.fileno(), 8)).cast("Q")
        self.process = start_job(COUNTING.format(counter=str(path)), **arguments)
        until = time.monotonic() + 30
        while not self.returned and time.monotonic() < until:
            time.sleep(0.005)

    @property
    def returned(self) -> int:
        return int(self._counter[0])

    def kill(self) -> int:
        """How many calls had returned when it was killed."""
        self.process.kill()
        self.process.wait()
        return self.returned


def check(lines: list[bytes], returned: int) -> None:
    """Every returned line once, in order; one more may be recorded whose call had not returned."""
    expected = [b"line %d" % number for number in range(returned)]
    assert lines[:returned] == expected
    assert lines[returned:] in ([], [b"line %d" % returned])


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_job(start_job: Any, spool: Any, tmp_path: Path, seed: int) -> None:
    job = Counting(start_job, tmp_path)
    time.sleep(random.Random(seed).uniform(0.0, 0.7))
    returned = job.kill()
    spool.settle()
    check(spool.lines(pb.STREAM_API), returned)
    (crash,) = spool.events("crash")
    assert crash.crash.reported_by == "shipper"
    assert spool.events()[-1] == crash
    assert not list(spool.path.glob("*.spool"))


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_shipper_then_a_killed_job(start_job: Any, spool: Any, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    job = Counting(start_job, tmp_path)
    for _ in range(chance.randrange(1, 3)):
        time.sleep(chance.uniform(0.0, 0.4))
        spool.kill_shippers()
    returned = job.kill()
    time.sleep(0.05)  # a replacement may be starting
    spool.settle()
    assert {outcome.state for outcome in sync(spool.path)} <= {"left", "done"}
    check(spool.lines(pb.STREAM_API), returned)
    assert len(spool.events("crash")) == 1
    assert not list(spool.path.glob("*.spool"))


def received(messages: list[Message]) -> tuple[list[pb.TelemetryBatch], int]:
    """Batches in sequence, doubles dropped as the pipeline drops them; and how many doubles there were."""
    by_sequence: dict[int, bytes] = {}
    doubled = 0
    for message in messages:
        batch = pb.TelemetryBatch.FromString(message.value())
        doubled += batch.sequence in by_sequence
        assert by_sequence.setdefault(batch.sequence, message.value()) == message.value()
    return [pb.TelemetryBatch.FromString(by_sequence[sequence]) for sequence in sorted(by_sequence)], doubled


@pytest.mark.parametrize("kill_shipper", [False, True])
def test_everything_reaches_the_broker(
    start_job: Any, spool: Any, tmp_path: Path, broker: Any, kill_shipper: bool
) -> None:
    job = Counting(start_job, tmp_path, bootstrap=broker.address)
    time.sleep(0.5)
    if kill_shipper:
        spool.kill_shippers()
        time.sleep(0.3)
    returned = job.kill()
    time.sleep(0.05)
    spool.settle()
    assert [outcome.left for outcome in sync(spool.path)] == [0]
    written = spool.batches()
    batches, doubled = received(broker.messages("telemetry.gpu.v1", len(written)))
    assert batches == written
    assert doubled == 0 or kill_shipper
    check([e.log.text for b in batches for e in b.events if e.log.stream == pb.STREAM_API], returned)


def test_a_broker_that_comes_late(start_job: Any, spool: Any, dead_port: str, broker: Any) -> None:
    process = start_job("run.log('early')", bootstrap=dead_port)
    assert process.wait(30) == 0
    spool.settle()
    (outcome,) = sync(spool.path, bootstrap=broker.address)
    assert (outcome.state, outcome.left) == ("done", 0)
    assert outcome.sent == outcome.batches > 0
    batches, _ = received(broker.messages("telemetry.gpu.v1", outcome.batches))
    assert batches == spool.batches()
    assert [outcome.sent for outcome in sync(spool.path, bootstrap=broker.address)] == [0]


def test_ranks_share_a_directory(start_job: Any, spool: Any) -> None:
    jobs = [start_job(f"[run.log(f'{rank} {{n}}') for n in range(100)]", env={"RANK": str(rank)}) for rank in range(3)]
    assert [job.wait(30) for job in jobs] == [0, 0, 0]
    spool.settle()
    ranks: dict[int, list[bytes]] = {}
    for batch in spool.batches():
        ranks.setdefault(batch.rank, []).extend(e.log.text for e in batch.events if e.log.stream == pb.STREAM_API)
    assert ranks == {rank: [b"%d %d" % (rank, n) for n in range(100)] for rank in range(3)}


def test_it_is_not_stopped_by_the_terminal(start_job: Any, spool: Any) -> None:
    """Ctrl-C and SIGTERM to every process of the job, as launchers send it: the end is still recorded."""
    process = start_job("import time; print('ready', flush=True); time.sleep(60)", env={"A": "B"})
    assert process.stdout.readline() == b"ready\n"
    for pid in [*spool.shippers(), process.pid]:
        os.kill(pid, signal.SIGTERM)
    assert process.wait(20) == -signal.SIGTERM
    (crash,) = spool.events("crash")
    assert crash.crash.signal == signal.SIGTERM or "SIGTERM" in crash.crash.message


class Job:
    """A process that ends when it has been looked at so often, with a wait status or none that the kernel tells."""

    def __init__(self, looks: int, status: int | None) -> None:
        self.looks, self._status = looks, status

    def ended(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def wait(self, seconds: float) -> None:
        pass

    def status(self) -> int | None:
        return self._status


def begun(directory: Path) -> tuple[session.Session, Writer]:
    """A process without a shipper, and its lane."""
    directory.mkdir()
    known = identity.new_session("job-1", "gpu", "", "", "", None, None, None, 60.0, {})
    known.save(directory)
    return known, Writer(directory, known.identity.process_uuid, "job", 1)


@pytest.mark.parametrize(
    ("looks", "status", "expected"),
    [
        (10, 0, ["stop"]),
        (10, 3 << 8, ["stop", "crash"]),
        (10, signal.SIGSEGV, ["stop", "crash"]),
        (10, None, ["stop"]),
        (0, 3 << 8, ["stop", "crash"]),  # it was faster than the shipper
        (1 << 60, 3 << 8, ["stop"]),  # it goes on, or hangs in its exit
    ],
)
def test_a_stop_is_held_against_the_exit_code(
    spool: Any, monkeypatch: pytest.MonkeyPatch, looks: int, status: int | None, expected: list[str]
) -> None:
    monkeypatch.setattr(shipping, "EXIT_SECONDS", 0.05 if looks == 1 << 60 else 60.0)
    known, lane = begun(spool.path)
    lane.append(segments.STOP, wire.stop(0, "finished"), time.time_ns())
    lane.append(segments.END, b"", time.time_ns())
    done, done_write = os.pipe()
    shipping.ship(shipper.Shipper(spool.path, known), Job(looks, status), None, Held(done_write))  # type: ignore[arg-type]
    assert os.read(done, 2) == ALL_DONE  # the job was let go
    os.close(done)
    assert [event.WhichOneof("kind") for event in spool.events()] == expected
    assert not list(spool.path.glob("*.spool"))


def test_a_batch_that_nobody_would_take_holds_up_no_other(spool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told in its place."""
    known, lane = begun(spool.path)
    monkeypatch.setattr(outbox, "LARGEST_BATCH", 2000)
    work = shipper.Shipper(spool.path, known)
    for text in (b"before", b"x" * 3000, b"after"):
        lane.append(segments.LINE, b"\x14" + text, time.time_ns())
        work.end()
    told, after = spool.lines()[1:]
    assert spool.lines()[0] == b"before"
    assert told.startswith(b"tracewinnow: events are lost: batch 1 of ")
    assert after == b"after"
    assert "batch 1 of" in work.report()


def test_a_spool_that_is_deleted_while_the_job_runs_is_told(start_job: Any, spool: Any, dead_port: str) -> None:
    process = start_job(
        """
import os, shutil, time
run.log("before")
while not any(name.endswith(".outbox") for name in os.listdir(run.directory)): time.sleep(0.01)
shutil.rmtree(run.directory)
for number in range(5): run.log("after")
""",
        bootstrap=dead_port,
    )
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (0, b"")
    assert f"the spool {spool.path} was deleted while the job ran".encode() in stderr


def test_what_children_wrote_before_they_ended(spool: Any) -> None:
    """Lines that no shipper has read yet are recorded before their lane is deleted; a child that lives keeps its own."""
    known, lane = begun(spool.path)
    uuid = known.identity.process_uuid
    work = shipper.Shipper(spool.path, known)
    lane.append(segments.EVENT, wire.log(b"job", wire.API), time.time_ns())
    work.end()
    child = subprocess.Popen(["true"])
    child.wait()
    for pid in (child.pid, os.getpid()):
        name = f"fork{pid}x1"
        Writer(spool.path, uuid, name, 1).append(segments.LINE, b"\x14%d" % pid, time.time_ns())
        assert known.gone(name) == (pid == child.pid)
    assert not known.gone("job")
    work.clean()
    assert set(spool.lines()) == {b"job", b"%d" % child.pid, b"%d" % os.getpid()}
    assert segments.lanes(spool.path, uuid) == [f"fork{os.getpid()}x1"]
    known.boot_id = "another machine"
    assert not known.gone(f"fork{child.pid}x1")


def test_a_child_of_a_job_whose_spool_is_gone_is_not_waited_for_for_ever(spool: Any) -> None:
    known, _ = begun(spool.path)
    work = shipper.Shipper(spool.path, known)
    with subprocess.Popen(["sleep", "60"]) as child:
        name = f"fork{child.pid}x1"
        Writer(spool.path, known.identity.process_uuid, name, 1).append(segments.LINE, b"\x14x", time.time_ns())
        work.end()
        assert work.cutter.children()
        shutil.rmtree(spool.path)
        child.kill()
    assert not work.cutter.children()


def test_a_shipper_waits_for_a_sync_that_is_at_work(start_job: Any, spool: Any) -> None:
    process = start_job("print('ready', flush=True)\nimport time; time.sleep(2); run.log('x')")
    until = time.monotonic() + 20
    while not (uuids := session.sessions(spool.path)) and time.monotonic() < until:
        time.sleep(0.001)
    held = session.lock(spool.path, uuids[0])
    if held is not None:  # we were faster than the shipper
        time.sleep(0.5)
        os.close(held)
    assert process.wait(30) == 0
    assert process.stderr.read() == b""
    assert b"x" in spool.lines(pb.STREAM_API)


def test_a_lane_that_a_tee_writes_to_is_left_to_it(spool: Any) -> None:
    """Its shipper waits for our lock; what its tee writes behind our last look is for that shipper, or for the next."""
    known, lane = begun(spool.path)
    known.process_start -= 1  # it has ended
    known.save(spool.path)
    uuid = known.identity.process_uuid
    lane.append(segments.START, wire.start([], "", {}, {}), time.time_ns())
    held = session.lock_lane(spool.path, uuid, "tee1")
    tees = [Writer(spool.path, uuid, name, 1) for name in ("tee", "tee1")]
    for tee in tees:
        tee.append(segments.STDOUT, b"before\n", time.time_ns())
    assert [outcome.state for outcome in sync(spool.path)] == ["left"]
    assert segments.lanes(spool.path, uuid) == ["tee1"]
    tees[1].append(segments.STDOUT, b"after\n", time.time_ns())
    assert held is not None
    os.close(held)
    assert [outcome.state for outcome in sync(spool.path)] == ["left"]
    assert spool.lines() == [b"before", b"before", b"after"]
    assert not list(spool.path.glob("*.spool"))
    assert session.locked_lanes(spool.path, uuid) == []


def test_a_shipper_deletes_the_lane_that_it_holds(spool: Any) -> None:
    known, _ = begun(spool.path)
    uuid = known.identity.process_uuid
    held = session.lock_lane(spool.path, uuid, "tee")
    Writer(spool.path, uuid, "tee", 1).append(segments.STDOUT, b"a line\n", time.time_ns())
    shipper.Shipper(spool.path, known, "tee").clean()
    assert spool.lines() == [b"a line"]
    assert not list(spool.path.glob("*.spool"))
    assert not list(spool.path.glob("*.tee.lock"))
    assert held is not None
    os.close(held)


@pytest.mark.parametrize(
    ("patch", "told"),
    [("", b"nothing is sent: bad-session"), ("load = lambda *_: 1 / 0", b"ZeroDivisionError")],
)
def test_one_that_gives_up_drops_nothing_that_it_has_read(tmp_path: Path, patch: str, told: bytes) -> None:
    """Its tee has a chunk in its hand, whose reader is slow."""
    (read, write), (errors, other), (slow, out) = os.pipe(), os.pipe(), os.pipe()
    fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, 4096)
    sent = b"".join(b"%08d\n" % n for n in range(7000))  # less than a pipe and a chunk hold
    os.write(write, sent)
    program = f"""
import select, sys, time
from tracewinnow.logger import session, shipping
shipping.STOP_SECONDS = 60.0
load = session.load
{patch}
def load_late(*which):
    while select.select([{read}], [], [], 0)[0]:
        time.sleep(0.01)
    return load(*which)
session.load = load_late
sys.exit(shipping.main())
"""
    words = [str(tmp_path), UUID, "--stdout", str(read), "--stderr", str(errors), "--lane", "tee1"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdout=out,
        stderr=subprocess.PIPE,
        pass_fds=(read, errors),
    )
    os.close(out)
    assert process.stderr is not None
    while told not in (line := process.stderr.readline()):
        assert line
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1.0)  # it does not go with what it has in its hand
    got = b""
    while chunk := os.read(slow, 4096):
        got += chunk
    assert process.wait(20) == 1
    os.close(write)
    left = b""  # for the job
    while chunk := os.read(read, 4096):
        left += chunk
    assert got + left == sent
    reader = segments.Reader(tmp_path, UUID, "tee1")
    assert b"".join(record.payload for record in reader.read()) == got
    for fd in (read, errors, other, slow):
        os.close(fd)
    process.stderr.close()

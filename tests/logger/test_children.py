"""Forked children and workers of multiprocessing: whose end is whose."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracewinnow.schemas import telemetry_pb2 as pb

Job = Callable[..., "subprocess.CompletedProcess[bytes]"]

WORKERS = """
import multiprocessing, sys
import tracewinnow.logger

def work(end):
    run = tracewinnow.logger.start(job="job-1", spool=sys.argv[1], rank=1)
    run.log("at work")
    print("printed", flush=True)
    exec(end)

if __name__ == "__main__":
    worker = multiprocessing.get_context(sys.argv[2]).Process(target=work, args=(sys.argv[3],))
    worker.start()
    worker.join()
    print(worker.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize(
    ("end", "code", "kind"),
    [
        ("pass", 0, "stop"),
        ("raise ValueError('in a worker')", 1, "ValueError"),
        ("sys.exit(3)", 3, "crash"),
        ("run.finish()", 0, "stop"),
    ],
)
def test_a_worker_that_starts_a_run_of_its_own(
    tmp_path: Path, spool: Any, method: str, end: str, code: int, kind: str
) -> None:
    """It leaves by os._exit, behind finalizers of multiprocessing alone."""
    program = tmp_path / "program.py"
    program.write_text(WORKERS)
    words = [sys.executable, str(program), str(spool.path), method, end]
    done = subprocess.run(words, capture_output=True, timeout=120)
    assert (done.returncode, sorted(done.stdout.split())) == (0, [b"%d" % code, b"printed"]), done.stderr.decode()
    ends = [event for event in spool.events() if event.WhichOneof("kind") in ("stop", "crash")]
    assert len(ends) == 1
    if kind == "stop":
        assert (ends[0].WhichOneof("kind"), ends[0].stop.exit_code) == ("stop", 0)
    elif kind == "crash":
        assert (ends[0].crash.exit_code, ends[0].crash.reported_by) == (code, "finish")
    else:
        assert ends[0].crash.exception_type == kind
        assert b"ValueError: in a worker" in spool.lines(pb.STREAM_STDERR)  # printed behind all finalizers
    assert spool.lines(pb.STREAM_API) == [b"at work"]
    assert b"printed" in spool.lines(pb.STREAM_STDOUT)


def test_nothing_is_imported_for_that(job: Job) -> None:
    assert job("import sys; print('multiprocessing' in sys.modules)").stdout == b"False\n"


@pytest.mark.parametrize("end", ["raise ValueError('of the child')", "import sys; sys.exit(3)", "pass"])
def test_a_child_that_leaves_the_with_block_is_not_the_job(job: Job, spool: Any, end: str) -> None:
    done = job(
        f"""
import os
with run:
    child = os.fork()
    if not child:
        {end}
    else:
        os.waitpid(child, 0)
        run.log("the job goes on")
if not child: os._exit(0)
"""
    )
    assert done.returncode == 0
    assert spool.lines(pb.STREAM_API) == [b"the job goes on"]
    assert len(spool.events("stop")) == 1
    assert spool.events("crash") == []


@pytest.mark.parametrize("capture", [False, True])
def test_a_child_that_outlives_the_job_and_does_not_print(job: Job, spool: Any, capture: bool) -> None:
    """Its output leads elsewhere; what it logs is sent all the same, and nothing of the job waits for it."""
    done = job(
        """
import os, time
job = os.getpid()
if not os.fork():
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2): os.dup2(null, fd)
    run.log("begun")
    while os.getppid() == job: time.sleep(0.01)
    for number in range(30):
        run.log(f"late {number}")
        time.sleep(0.1)
    os._exit(0)
while not any("fork" in name for name in os.listdir(run.directory)): time.sleep(0.01)
time.sleep(1.5)  # as often as its shipper looks for such lanes
""",
        capture=capture,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert spool.lines(pb.STREAM_API) == [b"begun", *(b"late %d" % number for number in range(30))]
    assert len(spool.events("stop")) == 1
    assert not list(spool.path.glob("*.spool"))

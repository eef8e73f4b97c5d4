"""What a job does to its descriptors while they are captured is left as it did it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tracewinnow.schemas import telemetry_pb2 as pb

Job = Callable[..., "subprocess.CompletedProcess[bytes]"]


def test_a_job_that_leads_its_output_into_its_own_log(job: Job, spool: Any, tmp_path: Path) -> None:
    """As launchers do. It stays there when the run is finished, and what goes there is recorded from the log record."""
    own = tmp_path / "own.log"
    done = job(
        f"""
import logging, os
logging.basicConfig(level=logging.INFO, format="%(message)s")
logging.info("captured")
file = os.open({str(own)!r}, os.O_WRONLY | os.O_CREAT)
os.dup2(file, 1); os.dup2(file, 2)
logging.error("not captured")
print("before", flush=True)
run.finish()
print("after", flush=True)
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"captured\n")
    assert own.read_bytes() == b"not captured\nbefore\nafter\n"
    assert spool.lines(pb.STREAM_STDERR) == [b"captured"]
    assert spool.lines(pb.STREAM_LOGGING) == [b"not captured"]


def test_a_redirection_that_passes(job: Job, spool: Any) -> None:
    done = job(
        """
import logging, os
logging.basicConfig(level=logging.INFO, format="%(message)s")
null, kept = os.open("/dev/null", os.O_WRONLY), os.dup(2)
os.dup2(null, 2)
logging.error("silenced")
os.dup2(kept, 2)
logging.error("printed")
run.finish()
logging.error("after")
"""
    )
    assert (done.returncode, done.stderr) == (0, b"printed\nafter\n")
    assert spool.lines(pb.STREAM_LOGGING) == [b"silenced"]
    assert spool.lines(pb.STREAM_STDERR) == [b"printed"]


def test_a_copy_of_a_captured_descriptor_is_captured(job: Job, spool: Any) -> None:
    done = job(
        """
import logging, os
logging.basicConfig(stream=open(os.dup(2), "w"), format="%(message)s")
logging.error("once")
"""
    )
    assert done.stderr == b"once\n"
    assert spool.lines() == [b"once"]


CLOSER = """
import os, time
print("one", flush=True)
while {begun} and not run._companion._shipper.pid: time.sleep(0.001)
os.closerange(3, 200)
files = [open("{folder}/%d" % n, "w+b", buffering=0) for n in range(12)]
for file in files: file.write(b"weights")
print("two", flush=True)
if {killed}: {kill}
run.finish()
print("three", flush=True)
for n, file in enumerate(files):
    file.write(b" more")
    file.seek(0)
    assert file.read() == b"weights more", n
    assert os.path.samestat(os.fstat(file.fileno()), os.stat("{folder}/%d" % n)), n
os._exit(0)
"""


def closer(folder: Path, begun: bool, killed: bool) -> str:
    kill = "os.kill(run._companion._shipper.pid, 9), *map(time.sleep, (0.01 for _ in iter(lambda: run._companion._shipper, None)))"
    return CLOSER.format(folder=folder, begun=begun, killed=killed, kill=kill)


def test_a_job_that_closes_all_descriptors_and_opens_its_own(job: Job, spool: Any, tmp_path: Path) -> None:
    """As daemonizers do. None of its files is touched, and its output goes on to where it went."""
    for begun in (True, False):
        done = job(closer(tmp_path, begun, False))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"one\ntwo\nthree\n", b"")
    assert spool.lines(pb.STREAM_STDOUT) == [b"one", b"two", b"three"] * 2
    assert len(spool.events("stop")) == 2
    assert spool.events("crash") == []


def test_such_a_job_survives_its_shipper(job: Job, spool: Any, tmp_path: Path) -> None:
    """Nobody is left who could pass on what it prints: it is lost, and fails nobody."""
    done = job(closer(tmp_path, True, True))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"three" not in done.stdout

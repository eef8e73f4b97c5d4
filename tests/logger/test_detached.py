"""The shipper is nobody's child: a job that waits for its children, or collects them, knows nothing of it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from tracewinnow.logger import detached
from tracewinnow.schemas import telemetry_pb2 as pb

Job = Callable[..., "subprocess.CompletedProcess[bytes]"]
NO_SHELL = "from tracewinnow.logger import detached; detached.SHELL = ('/nonexistent/sh', '-c', '', '')"


def test_a_job_that_waits_for_all_of_its_children(job: Job, spool: Any) -> None:
    done = job(
        """
import os
children = []
for _ in range(2):
    children.append(os.fork())
    if not children[-1]: os._exit(0)
reaped = []
while True:
    try: reaped.append(os.wait()[0])
    except ChildProcessError: break
print(sorted(reaped) == sorted(children), flush=True)
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True\n", b"")
    assert spool.lines(pb.STREAM_STDOUT) == [b"True"]


COLLECTOR = """
import os, signal
def collect(*_):
    while True:
        try: pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError: break
        if not pid: break
signal.signal(signal.SIGCHLD, collect)
"""
KILLED = """
import os, time
companion = run._companion
print("before", flush=True)
while not companion._shipper.pid: time.sleep(0.001)
first = companion._shipper
os.kill(first.pid, 9)
while companion._shipper is first or not companion._shipper.pid: time.sleep(0.001)
print("after", flush=True)
"""


@pytest.mark.parametrize(
    "setup", ["", COLLECTOR, NO_SHELL, "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)"]
)
def test_one_that_is_killed_is_replaced(job: Job, spool: Any, setup: str) -> None:
    done = job(KILLED, setup=setup)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"before\nafter\n", b"")
    assert b"after" in spool.lines(pb.STREAM_STDOUT)
    assert len(spool.events("stop")) == 1


def test_without_a_pidfd(job: Job, spool: Any) -> None:
    """As before Linux 5.3."""
    assert job(KILLED, setup="import os\nif hasattr(os, 'pidfd_open'): del os.pidfd_open").stdout == b"before\nafter\n"
    assert b"after" in spool.lines(pb.STREAM_STDOUT)


def test_one_that_gives_up_is_not_replaced(job: Job, spool: Any) -> None:
    """What it has read is passed on, and the job goes on as without it."""
    begin = "import os, pathlib, tracewinnow.logger.session as s\nsave = s.Session.save"
    spoil = f"{begin}\ns.Session.save = lambda self, where: (save(self, where), [p.write_text('x') for p in where.glob('*.json')])"
    done = job(
        """
import threading
next(thread for thread in threading.enumerate() if thread.name == "tracewinnow-watch").join(60)
print("after", run._companion._started, flush=True)
""",
        setup=spoil,
    )
    assert (done.returncode, done.stdout) == (0, b"after 1\n")
    assert b"nothing is sent: bad-session" in done.stderr
    assert b"the shipper gave up" in done.stderr


def test_what_cannot_be_started_is_told_at_once(job: Job, spool: Any) -> None:
    done = job("print('here')", setup="import sys; sys.executable = '/nonexistent/python'")
    assert (done.returncode, done.stdout) == (0, b"here\n")
    assert b"no shipper could be started" in done.stderr


def test_it_is_waited_for_where_it_is_a_child_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detached, "SHELL", ("/nonexistent/sh",))
    monkeypatch.setattr(detached, "BOOT", "import os, sys; os.write(int(sys.argv[1]), b'%d' % os.getpid()) # {path}")
    began = time.monotonic()
    work = detached.Detached()
    work.start([], [])
    assert work.wait()
    assert time.monotonic() - began < 60
    with pytest.raises(ChildProcessError):
        os.waitpid(work.pid or 0, os.WNOHANG)

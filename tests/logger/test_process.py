"""How another process ended, on kernels of any age."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tracewinnow.logger.process import Watched, signal_name


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture(params=["this kernel", "before Linux 6.15"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ioctl that tells of a process that is gone fails on kernels that do not have it."""
    if request.param != "this kernel":

        def missing(*_: object) -> int:
            raise OSError(25, "Inappropriate ioctl for device")

        monkeypatch.setattr(fcntl, "ioctl", missing)
    return str(request.param)


def test_a_status_is_kept_once_the_parent_has_asked_for_it(sleeper: subprocess.Popen[bytes], kernel: str) -> None:
    job = Watched(sleeper.pid)
    assert not job.ended()
    assert job.status() is None
    sleeper.kill()
    job.wait(10.0)  # comes back at the end, when the status can still be read
    assert job.ended()
    sleeper.wait()
    status = job.status()
    assert status is not None
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_waiting_ends_with_the_process_and_not_before(sleeper: subprocess.Popen[bytes]) -> None:
    job = Watched(sleeper.pid)
    begin = time.monotonic()
    job.wait(0.2)
    assert time.monotonic() - begin > 0.15
    assert not job.ended()
    sleeper.terminate()
    begin = time.monotonic()
    job.wait(30.0)
    assert time.monotonic() - begin < 20.0
    begin = time.monotonic()
    job.wait(0.2)  # what is dead is not waited for in a circle that takes a core
    assert time.monotonic() - begin > 0.15


def test_what_was_opened_in_time_tells_the_end_of_a_process_that_is_gone() -> None:
    """Nobody could find it any more by its number."""
    gone = subprocess.Popen([sys.executable, "-c", "import os; os._exit(3)"])
    in_time, pidfd = Watched(gone.pid), os.pidfd_open(gone.pid)
    gone.wait()
    job = Watched(gone.pid, pidfd)
    assert job.ended()
    assert job.status() == in_time.status()
    assert job.status() in (3 << 8, None)  # None: before Linux 6.15
    os.close(pidfd)


def test_a_process_that_was_never_there() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    job = Watched(gone.pid)
    assert job.ended()
    assert job.status() is None


def test_names_of_signals() -> None:
    assert signal_name(9) == "SIGKILL"
    assert signal_name(99) == "signal 99"

"""A test that is skipped where it should run is a failure: TRACEWINNOW_NO_SKIP=1 (continuous integration sets it) makes it one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

SKIPPED: list[str] = []


def pytest_configure() -> None:
    # A shell starts what runs in the background with Ctrl-C ignored, and so would be every job that is started here.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data() -> Path:
    """The development data; a test that asks for it is skipped, saying so, where there is none."""
    folder = os.environ.get("TRACEWINNOW_DATA", "")
    if not folder:
        pytest.skip("needs the development data: set TRACEWINNOW_DATA to its folder")
    return Path(folder)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # Without the data its tests cannot run anywhere; every other skip is something that was forgotten.
    if report.skipped and not ("data" in report.keywords and not os.environ.get("TRACEWINNOW_DATA")):
        SKIPPED.append(report.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if SKIPPED and os.environ.get("TRACEWINNOW_NO_SKIP"):
        print("\nskipped, and should have run:", *SKIPPED, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

"""Ctrl-C, once and twice: a word, the exit code of an interrupted program, no traceback, nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

# The second may come while the interpreter ends, when only the kernel is left to handle it; a shell says 130 for both.
INTERRUPTED = (130, -signal.SIGINT)


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """librdkafka's embedded broker; it lives as long as the producer."""
    producer = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    [node] = producer.list_topics(timeout=10).brokers.values()
    producer.list_topics("telemetry.cpu.v1", timeout=10)
    yield f"{node.host}:{node.port}"
    del producer


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    """A verb in a session of its own, as in a terminal, where Ctrl-C reaches the whole group."""
    return subprocess.Popen(
        [sys.executable, "-m", "tracewinnow", *arguments], cwd=folder, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # even where tests run in the background
    )  # fmt: skip


def interrupt(process: subprocess.Popen[str], times: int, apart: float = 0.1) -> tuple[int, str]:
    """Ctrl-C, so many times. -> exit code, stderr."""
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(apart)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, err


def wait_for(condition: object, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """stderr up to the line that has the word."""
    assert process.stderr is not None
    told = ""
    while word not in told:
        line = process.stderr.readline()
        assert line, told
        told += line
    return told


@pytest.mark.parametrize("times", [1, 2])
def test_preprocess_that_waits_for_its_input(tmp_path: Path, times: int) -> None:
    process = start("preprocess", "-", folder=tmp_path)
    assert process.stdin is not None
    process.stdin.write("a line\n")
    process.stdin.flush()
    time.sleep(2)
    code, err = interrupt(process, times)
    assert code in INTERRUPTED
    assert "Interrupted." in err or code == -signal.SIGINT


@pytest.mark.parametrize("times", [1, 2])
def test_run_ends_with_its_command(tmp_path: Path, times: int) -> None:
    process = start("run", "--spool", "spool", "--", "sh", "-c", "echo begun > begun; exec sleep 60", folder=tmp_path)
    wait_for((tmp_path / "begun").exists)
    code, _ = interrupt(process, times)
    assert code == 130


def test_stream_once_ends_after_the_run_in_hand(tmp_path: Path, broker: str) -> None:
    process = start(
        "stream", "--bootstrap", broker, "--warehouse", "w", "--topics", "telemetry.cpu.v1", folder=tmp_path
    )
    read_until(process, "Reading")
    code, err = interrupt(process, 1)
    assert code == 0
    assert "Stopping after the run in hand" in err


def test_stream_twice_ends_at_once(tmp_path: Path, broker: str) -> None:
    process = start(
        "stream", "--bootstrap", broker, "--warehouse", "w", "--topics", "telemetry.cpu.v1", folder=tmp_path
    )
    read_until(process, "Reading")
    code, err = interrupt(process, 2, apart=0.02)
    assert code in (0, *INTERRUPTED)  # 0 where the run in hand was over before the second
    assert "Stopp" in err

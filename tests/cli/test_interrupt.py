"""Ctrl-C, once and twice: a word, the exit code of an interrupted program, no traceback, nothing left running."""

from __future__ import annotations

import json
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


# What is imported waits: in its body, or where Python loses an exception.
BODY = "import time\ntime.sleep(60)"
FINALIZER = "import time\nclass Held:\n    def __del__(self):\n        time.sleep(60)\nHeld()"


@pytest.mark.parametrize("program", [BODY, FINALIZER], ids=["body", "finalizer"])
@pytest.mark.parametrize(("verb", "module"), [("--help", "click"), ("codec", "numpy")])
def test_while_imports_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, module: str, program: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / f"{module}.py").write_text(f"open('begun', 'w').close()\n{program}\n")
    process = start(verb, folder=tmp_path)
    wait_for((tmp_path / "begun").exists)
    code, err = interrupt(process, 1)
    assert (code, err) == (130, "\nInterrupted.\n")


def test_in_the_background_imports_are_not_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Ctrl-C is ignored, as a shell has it for what runs in the background, it stays so."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "click.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint('went on')\nos._exit(7)\n"
    )
    program = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from tracewinnow.cli import main; main()"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (7, "went on\n")


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


@pytest.mark.parametrize("times", [1, 2])
def test_backfill_ends_at_once_and_goes_on(tmp_path: Path, times: int) -> None:
    for number in range(8):
        (tmp_path / f"job-{number:02d}.log").write_text(f"2026-01-02 03:04:05 line of {number}\n" * 20_000)
    logs = [file.name for file in tmp_path.glob("*.log")]
    process = start("backfill", *logs, "--warehouse", "w", folder=tmp_path)
    wait_for((tmp_path / "w" / "archive").exists)
    code, err = interrupt(process, times)
    assert code == 130
    assert err.count("Interrupted. The same command goes on where this one was.") == 1
    small = [file.name for file in tmp_path.glob("*-0[01].log")]
    done = start("backfill", *small, "--warehouse", "w", "--json", folder=tmp_path)
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    assert json.loads(out)["traces"] == 2


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
    again = start(
        "stream", "--bootstrap", broker, "--warehouse", "w", "--topics", "telemetry.cpu.v1", "--until-idle", "1s",
        folder=tmp_path,
    )  # fmt: skip
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err

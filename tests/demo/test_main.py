"""The demo as a person runs it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def demo(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # even where tests run in the background
    )  # fmt: skip


def alive(folder: Path) -> list[str]:
    """Processes whose command line or working directory speaks of the folder."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            where = os.readlink(process / "cwd")
        except OSError:
            continue
        if str(folder) in command or where.startswith(str(folder)):
            found.append(command)
    return found


def test_from_a_killed_rank_to_the_answer(tmp_path: Path) -> None:
    folder = tmp_path / "demo out"
    process = demo("--fault", "killed-rank", "--steps-per-second", "60", "--out", str(folder))
    answer, progress = process.communicate(timeout=180)
    assert process.returncode == 0, progress
    assert "rank 1" in answer
    assert "SIGKILL" in answer
    assert "tokens became" in progress
    report = (folder / "killed-rank/report.html").read_text()
    assert "SIGKILL" in report
    for what in ("ask again", "all jobs"):  # as one pastes it
        command = progress.partition(what)[2].partition("\n")[0]
        assert subprocess.run([sys.executable, "-m", *shlex.split(command)], stdout=subprocess.DEVNULL).returncode == 0
    assert alive(tmp_path) == []


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    process = demo("--fault", "nan", "--out", str(tmp_path))
    until = time.monotonic() + 60
    while not list(tmp_path.glob("nan/spool/*.outbox")) and time.monotonic() < until:
        time.sleep(0.1)
    assert alive(tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, progress = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in progress
    assert "Interrupted" in progress
    until = time.monotonic() + 20  # a builder that was only starting sees that it is alone once it has started
    while alive(tmp_path) and time.monotonic() < until:
        time.sleep(0.1)
    assert alive(tmp_path) == []


def test_help_and_bad_use() -> None:
    told = subprocess.run([sys.executable, "-m", "demo", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0
    assert "killed-rank" in told.stdout
    wrong = subprocess.run(
        [sys.executable, "-m", "demo", "--fault", "sneeze"], cwd=ROOT, capture_output=True, text=True
    )
    assert wrong.returncode == 2
    assert "invalid choice: 'sneeze'" in wrong.stderr

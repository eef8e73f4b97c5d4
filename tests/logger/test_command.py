"""`tracewinnow run` and `tracewinnow sync` as a user types them."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracewinnow.schemas import telemetry_pb2 as pb


def start(spool: Any, *words: str, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tracewinnow", "run", "--spool", str(spool.path), "--job", "job-1", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def start_impatient(spool: Any, *words: str) -> subprocess.Popen[bytes]:
    """With a tenth of the usual grace."""
    program = (
        "from tracewinnow.logger import command; command.GRACE_SECONDS = 0.1; from tracewinnow.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "run", "--spool", str(spool.path), "--job", "job-1", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def run(spool: Any, *words: str) -> tuple[int, bytes, bytes]:
    process = start(spool, *words)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def sync(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tracewinnow", "sync", *words], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("program", "code", "crash"),
    [
        (["true"], 0, None),
        (["sh", "-c", "exit 3"], 3, {"exit_code": 3}),
        (["sh", "-c", "kill -9 $$"], 137, {"signal": 9}),
        (["/nonexistent/program"], 127, {"exit_code": 127}),
        (["/etc"], 126, {"exit_code": 126}),
    ],
)
def test_the_exit_code_is_passed_on(spool: Any, program: list[str], code: int, crash: dict[str, int] | None) -> None:
    status, stdout, stderr = run(spool, "--", *program)
    assert (status, stdout) == (code, b"")
    assert bool(stderr) == (code in (126, 127))
    assert list(spool.events("start")[0].start.argv) == program
    if crash is None:
        assert len(spool.events("stop")) == 1
    else:
        (event,) = spool.events("crash")
        assert {name: getattr(event.crash, name) for name in crash} == crash
        assert event.crash.reported_by == "run"


def test_output_passes_and_is_recorded(spool: Any) -> None:
    status, stdout, stderr = run(
        spool, "--rank", "2", "--model", "m", "--", "sh", "-c", "echo out; echo err >&2; printf end"
    )
    assert (status, stdout, stderr) == (0, b"out\nend", b"err\n")
    assert spool.lines(pb.STREAM_STDOUT) == [b"out", b"end"]
    assert spool.lines(pb.STREAM_STDERR) == [b"err"]
    batch = spool.batches()[0]
    assert (batch.rank, batch.model, batch.job_id) == (2, "m", "job-1")


def test_a_slow_reader_gets_everything(spool: Any, tmp_path: Path) -> None:
    """What is still in the pipe of a command that has ended is neither passed on late nor lost."""
    done = tmp_path / "done"
    # More than our own standard output holds, and no more than that and the command's: each is a pipe of 64 KiB.
    process = start_impatient(
        spool, "--", "sh", "-c", f"head -c 100000 /dev/zero | tr '\\0' '\\n'; touch {done}; exit 3"
    )
    until(done.exists)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1.5)  # the command has ended, and for much longer than the grace
    stdout, _ = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (3, b"\n" * 100_000)
    assert spool.lines() == [b""] * 100_000


def test_a_reader_that_has_stopped_does_not_hold_us(spool: Any, tmp_path: Path) -> None:
    done = tmp_path / "done"
    process = start_impatient(spool, "--", "sh", "-c", f"head -c 100000 /dev/zero; touch {done}; exit 3")
    until(done.exists)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 3
    assert [event.crash.exit_code for event in spool.events("crash")] == [3]


@pytest.mark.parametrize("words", [["seq", "1000"], ["sh", "-c", "seq 1000; exit 3"]])
def test_a_full_disk_is_told(spool: Any, words: list[str]) -> None:
    """There is no room for a lane, and some for the outbox."""
    room = 100 << 10
    process = start(
        spool,
        "--",
        *words,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY)),
    )
    stdout, stderr = process.communicate(timeout=60)
    assert stdout == b"".join(b"%d\n" % n for n in range(1, 1001))
    told = f"{len(stdout)} bytes of output could not be recorded: ".encode()
    first, second = stderr.splitlines()
    assert b"has little room ([Errno 27] File too large): nothing is sure of it" in first
    assert second.startswith(b"tracewinnow run: " + told)
    sync(str(spool.path))
    kinds = [event.WhichOneof("kind") for event in spool.events()]
    assert kinds == ["start", "log", "crash" if process.returncode else "stop"]
    (line,) = spool.lines()
    assert line.startswith(b"tracewinnow: " + told)


def test_a_disk_without_room_for_a_segment_has_some_for_the_beginning_and_the_end(spool: Any) -> None:
    room = 4 << 20
    process = start(
        spool,
        *("--", "sh", "-c", "echo hello; exit 3"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY)),
    )
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (3, b"hello\n")
    (line,) = stderr.splitlines()
    assert b"only the beginning and the end are sure of it" in line
    found = sorted(spool.events(), key=lambda event: event.time_ns)  # what was printed may be read before the start is
    assert [event.WhichOneof("kind") for event in found] == ["start", "log", "crash"]


def test_an_end_that_is_recorded_nowhere_is_told(spool: Any) -> None:
    """There is room for the session alone, and not for a batch that holds the command's arguments."""
    room = 4096
    process = start(
        spool,
        *("--", "true", "x" * room),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY)),
    )
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (0, b"")
    first, second = stderr.splitlines()
    assert b"nothing is sure of it" in first
    assert second.startswith(b"tracewinnow run: how the command ended could not be recorded: ")
    sync(str(spool.path))
    assert [event.WhichOneof("kind") for event in spool.events()] == ["log"]
    assert b"how it ended is not known" in spool.lines()[0]


def test_options_of_the_command_are_its_own(spool: Any) -> None:
    assert run(spool, "--", "echo", "--help", "-x")[1] == b"--help -x\n"
    assert run(spool, "echo", "--job", "2")[1] == b"--job 2\n"


def test_signals_are_passed_on(spool: Any) -> None:
    process = start(
        spool, "--", "sh", "-c", 'trap "echo got it; exit 5" TERM; echo ready; while :; do sleep 0.05; done'
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (5, b"got it\n")
    assert [event.crash.exit_code for event in spool.events("crash")] == [5]


def test_a_command_in_the_background_does_not_hold_us(spool: Any) -> None:
    began = time.monotonic()
    process = start(spool, "--", "sh", "-c", "sleep 30 & echo started $!")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert process.wait(20) == 0
    assert time.monotonic() - began < 15
    os.kill(int(line.split()[1]), signal.SIGKILL)
    assert spool.lines() == [line.strip()]


def test_everything_arrives(spool: Any, broker: Any) -> None:
    status, _, stderr = run(spool, "--accelerator", "tpu", "--bootstrap", broker.address, "--", "seq", "1000")
    assert (status, stderr) == (0, b"")
    messages = broker.messages("telemetry.tpu.v1", 1)
    batches = [pb.TelemetryBatch.FromString(message.value()) for message in messages]
    assert batches == spool.batches()
    assert spool.lines() == [b"%d" % n for n in range(1, 1001)]


def test_a_broker_of_the_environment_that_cannot_be_costs_the_command_nothing(
    spool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEWINNOW_BOOTSTRAP", "127.0.0.1:99999")
    status, stdout, stderr = run(spool, "--", "sh", "-c", "echo here; exit 3")
    assert (status, stdout) == (3, b"here\n")
    assert b"the port of '127.0.0.1:99999' is no number from 1 to 65535" in stderr
    assert spool.lines() == [b"here"]


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_outputs_are_no_files_of_ours(spool: Any, closed: str) -> None:
    """What the command prints is recorded, and not written into what was opened in the place of an output."""
    ours = f"{sys.executable} -m tracewinnow"
    given = f"--spool {spool.path} --job job-1 -- sh -c 'echo out; echo err >&2; exit 3'"
    done = subprocess.run(["sh", "-c", f"{ours} run {given} {closed}"], capture_output=True, timeout=60)
    assert done.returncode == 3
    assert spool.lines(pb.STREAM_STDOUT) == [b"out"]
    assert spool.lines(pb.STREAM_STDERR) == [b"err"]
    assert [event.crash.exit_code for event in spool.events("crash")] == [3]
    before = {path: path.read_bytes() for path in spool.path.iterdir()}
    assert not [path for path, data in before.items() if path.suffix == ".lock" and data]
    done = subprocess.run(["sh", "-c", f"{ours} sync {spool.path} {closed}"], capture_output=True, timeout=60)
    assert done.returncode == 1
    assert {path: path.read_bytes() for path in spool.path.iterdir()} == before


def test_a_name_that_no_pipeline_would_take(spool: Any) -> None:
    command = [sys.executable, "-m", "tracewinnow", "run", "--spool", str(spool.path), "--job", "a\nb ", "--", "true"]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0
    assert b"the job is recorded as 'a b'" in done.stderr
    assert spool.batches()[0].job_id == "a b"


def test_without_a_command(spool: Any) -> None:
    status, _, stderr = run(spool)
    assert status == 2
    assert b"there is no command to run" in stderr


def test_sync_says_what_it_did(spool: Any, broker: Any, dead_port: str) -> None:
    assert run(spool, "--", "echo", "hello")[0] == 0
    kept = sync(str(spool.path))
    assert kept.returncode == 1
    assert "name one with --bootstrap" in kept.stdout
    failed = sync(str(spool.path), "--bootstrap", dead_port, "--patience", "0.5")
    assert failed.returncode == 1
    sent = sync(str(spool.path), "--bootstrap", broker.address, "--json")
    assert sent.returncode == 0
    outcome = json.loads(sent.stdout)
    assert (outcome["job"], outcome["state"], outcome["left"]) == ("job-1", "done", 0)
    assert outcome["sent"] == outcome["batches"] > 0
    again = sync(str(spool.path), "--bootstrap", broker.address, "--job", "job-1", "--resend", "0-0", "--json")
    assert json.loads(again.stdout)["sent"] == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["/nonexistent"], 2, "does not exist"),
        ([], 2, "Missing argument"),
        (["{spool}", "--resend", "5-2", "--job", "x"], 2, "is no range"),
        (["{spool}", "--resend", "5"], 2, "--job"),
        (["{spool}", "--patience", "nan"], 2, "is no number of seconds"),
        (["{spool}", "--patience", "-1"], 2, "is no number of seconds"),
        (["{spool}", "--job", "absent"], 1, "No process of job absent"),
        (["{spool}"], 0, "No process"),
    ],
)
def test_sync_misused(tmp_path: Path, words: list[str], code: int, message: str) -> None:
    done = sync(*(word.format(spool=tmp_path) for word in words))
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def start_patched(spool: Any, patch: str, *words: str) -> tuple[int, bytes, bytes]:
    program = f"import os, sys\nfrom tracewinnow.logger import session, spool\n{patch}\nfrom tracewinnow.cli import main; main()"
    command = [sys.executable, "-c", program, "run", "--spool", str(spool.path), "--job", "job-1", *words]
    done = subprocess.run(command, capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_who_sees_the_session_finds_its_lock_taken_and_nothing_recorded_before_it(spool: Any) -> None:
    patch = """
save = session.Session.save
def saved(self, directory):
    uuid = self.identity.process_uuid
    print(session.lock(directory, uuid), spool.lanes(directory, uuid), session.sessions(directory), file=sys.stderr)
    save(self, directory)
session.Session.save = saved
"""
    status, stdout, stderr = start_patched(spool, patch, "--", "echo", "hello")
    assert (status, stdout, stderr) == (0, b"hello\n", b"None [] []\n")
    assert sorted(str(event.WhichOneof("kind")) for event in spool.events()) == ["log", "start", "stop"]  # of two lanes
    assert not list(spool.path.glob("*.spool"))
    assert not list(spool.path.glob("*.tee.lock"))


def test_another_one_that_cuts_is_left_alone(spool: Any) -> None:
    """What we record is for `sync`."""
    patch = """
lock = session.lock
session.lock = lambda *which: (lock(*which), lock(*which))[1]
"""
    status, stdout, stderr = start_patched(spool, patch, "--", "sh", "-c", "echo hello; exit 3")
    assert (status, stdout) == (3, b"hello\n")
    assert b"another process ships" in stderr
    assert len(stderr.splitlines()) == 1
    assert not list(spool.path.glob("*.outbox"))
    assert sync(str(spool.path)).stderr == ""
    assert sorted(str(event.WhichOneof("kind")) for event in spool.events()) == ["crash", "log", "start"]
    assert spool.lines() == [b"hello"]
    assert not list(spool.path.glob("*.spool"))

"""Runs a program that cannot be changed, and records what it prints and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tracewinnow.logger import arguments, identity, session, spool, wire
from tracewinnow.logger.process import signal_name
from tracewinnow.logger.shipper import GRACE_SECONDS, Shipper
from tracewinnow.logger.tee import Tee, mark
from tracewinnow.schemas.errors import TracewinnowError

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # exit codes, as the shell has them
PASSED_ON = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
)
TICK_SECONDS = 0.05


def run(command: Sequence[str], directory: Path, known: session.Session) -> int:
    """Run a command to its end; the exit code for us: its own, or 128 + signal. Never raises for what is broken of ours.

    Call it in the main thread: until it returns it blocks signals, and passes them on.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    try:
        return _run(command, directory, known, mask)
    finally:
        while signal.sigtimedwait(PASSED_ON, 0):
            pass  # was meant for the command, which has ended
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _run(command: Sequence[str], directory: Path, known: session.Session, mask: Iterable[int]) -> int:
    uuid = known.identity.process_uuid
    lane = spool.Writer(directory, uuid, "job")
    versions = arguments.bounded_map(identity.versions())
    begin = wire.start(arguments.bounded(command), identity.working_directory(), versions, {})
    lane.append(spool.START, begin, time.time_ns())
    stdout, stderr = os.pipe(), os.pipe()
    try:
        child = subprocess.Popen(
            command,
            stdout=stdout[1],
            stderr=stderr[1],
            env={
                **os.environ,
                "TRACEWINNOW_JOB": known.identity.job_id,
                "TRACEWINNOW_TEE": mark(stdout[1], stderr[1]),
            },
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask),
        )
    except (OSError, ValueError) as wrong:
        print(f"tracewinnow run: {command[0]}: {getattr(wrong, 'strerror', None) or wrong}", file=sys.stderr)
        code = NOT_FOUND if isinstance(wrong, FileNotFoundError) else NOT_EXECUTABLE
        crash = wire.crash("run", f"{command[0]}: {wrong}"[:10_000], exit_code=code)
        lane.append(spool.CRASH, crash, time.time_ns())
        child, tee = None, None
    finally:
        os.close(stdout[1])
        os.close(stderr[1])
    if child is not None:
        tee = Tee({stdout[0]: (1, spool.STDOUT), stderr[0]: (2, spool.STDERR)}, spool.Writer(directory, uuid, "tee"))
        tee.start()
    held, shipper = None, None
    try:
        known.save(directory)
        held = session.lock(directory, uuid)
        shipper = Shipper(directory, known)
    except (TracewinnowError, OSError) as wrong:
        print(f"tracewinnow run: nothing is recorded: {wrong}", file=sys.stderr)
    if child is not None and tee is not None:
        code = _follow(child, tee, shipper)
        lane.append(*_ending(code), time.time_ns())
    lane.append(spool.END, b"", time.time_ns())
    if shipper is not None:
        shipper.end()
        shipper.clean()
        if line := shipper.report():
            print(line, file=sys.stderr)
    if held is not None:
        os.close(held)
    return code if code >= 0 else 128 - code


def _follow(child: subprocess.Popen[bytes], tee: Tee, shipper: Shipper | None) -> int:
    """Until the child has ended and its output is read; its return code, negative for a signal."""
    while True:
        code = child.poll()
        busy = shipper.step() if shipper else False
        # A grandchild may hold the output for ever; the child is what we were asked to run.
        if code is not None and (not tee.is_alive() or time.monotonic() - tee.quiet_since > GRACE_SECONDS):
            return code
        got = signal.sigtimedwait(PASSED_ON, 0 if busy else TICK_SECONDS)
        # A positive si_code: from the terminal, whose signals go to the child as well.
        if got is not None and got.si_code <= 0 and code is None:
            child.send_signal(got.si_signo)


def _ending(code: int) -> tuple[int, bytes]:
    if code == 0:
        return spool.STOP, wire.stop(0, "exit code 0")
    if code < 0:
        return spool.CRASH, wire.crash("run", f"killed by {signal_name(-code)}", signal=-code)
    return spool.CRASH, wire.crash("run", f"exit code {code}", exit_code=code)

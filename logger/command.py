"""Runs a program that cannot be changed, and records what it prints and how it ends."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tracewinnow.logger import arguments, identity, session, spool, spool_writer, wire
from tracewinnow.logger.descriptors import fill_standard, mark
from tracewinnow.logger.process import signal_name
from tracewinnow.logger.shipper import Shipper
from tracewinnow.logger.shipping import GRACE_SECONDS
from tracewinnow.logger.tee import Tee
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
STOPPING = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT))
TICK_SECONDS = 0.05
TEE_LANE = "tee"


def run(command: Sequence[str], directory: Path, known: session.Session) -> int:
    """Run a command to its end; the exit code for us: its own, or 128 + signal. Never raises for what is broken of ours.

    Call it in the main thread of a process that has nothing else to do: it blocks signals, and passes them on. They stay
    blocked, so that a Ctrl-C behind the command's end does not take its exit code away.
    """
    fill_standard()  # before anything is opened, which would be the command's output
    uuid = known.identity.process_uuid
    held, trouble = _claim(directory, known)
    lane = spool_writer.Writer(directory, uuid, "job")
    untold: list[tuple[int, bytes, int]] = []

    def tell(kind: int, payload: bytes) -> None:
        record = kind, payload, time.time_ns()
        if not lane.append(*record):
            untold.append(record)

    versions = arguments.bounded_map(identity.versions())
    begin = wire.start(arguments.bounded(command), identity.working_directory(), versions, {})
    tell(spool.START, begin)
    if lane.error:
        sure = "only the beginning and the end are" if lane.short else "nothing is"
        print(f"tracewinnow run: {directory} has little room ({lane.error}): {sure} sure of it", file=sys.stderr)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
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
        tell(spool.CRASH, crash)
        child, tee = None, None
    finally:
        os.close(stdout[1])
        os.close(stderr[1])
    lane_lock = session.lock_lane(directory, uuid, TEE_LANE)
    if child is not None:
        pipes = {stdout[0]: (1, spool.STDOUT), stderr[0]: (2, spool.STDERR)}
        tee = Tee(pipes, spool_writer.Writer(directory, uuid, TEE_LANE))
        tee.start()
    shipper = None
    if not trouble:
        try:
            shipper = Shipper(directory, known, TEE_LANE)
        except (TracewinnowError, OSError) as wrong:
            trouble = f"nothing is recorded: {wrong}"
    if trouble:
        print(f"tracewinnow run: {trouble}", file=sys.stderr)
    if child is not None and tee is not None:
        code = _follow(child, tee, shipper)
        tee.stop(GRACE_SECONDS)  # or the end of this process would take what a grandchild prints at this moment
        if losses := tee.losses():
            print(f"tracewinnow run: {losses}", file=sys.stderr)
            tell(spool.NOTE, wire.log(wire.text_bytes(f"tracewinnow: {losses}"), wire.API, 30, "tracewinnow"))
        tell(*_ending(code))
    tell(spool.END, b"")
    if shipper is not None:
        for record in untold:  # a disk that has no room for a lane may have some for the outbox
            shipper.cutter.tell(*record)
        shipper.end()
        shipper.clean()
        shipper.end()
        if untold and shipper.unwritten is not None:
            print(f"tracewinnow run: how the command ended could not be recorded: {lane.error}", file=sys.stderr)
        elif line := shipper.report():
            print(line, file=sys.stderr)
    for fd in (held, lane_lock):
        if fd is not None:
            os.close(fd)
    return code if code >= 0 else 128 - code


def _claim(directory: Path, known: session.Session) -> tuple[int | None, str]:
    """Become the one who cuts, and let `sync` know of the process, in this order: a `sync` that knows may cut.

    The lock, None where another one has it; and what a person should know, "" where all is well. Before anything is recorded:
    a spool whose process nobody knows is never sent.
    """
    uuid = known.identity.process_uuid
    held = None
    try:
        held = session.lock(directory, uuid)
        known.save(directory)
    except OSError as wrong:
        return held, f"nothing is recorded: {wrong}"
    if held is None:
        return None, f"another process ships {uuid} in {directory}; what it leaves is for `tracewinnow sync`"
    return held, ""


def _follow(child: subprocess.Popen[bytes], tee: Tee, shipper: Shipper | None) -> int:
    """Until the child has ended and its output is read; its return code, negative for a signal."""
    ended_at = asked_at = math.inf
    while True:
        code = child.poll()
        if code is not None:
            ended_at = min(ended_at, time.monotonic())
        busy = shipper.step() if shipper else False
        # A grandchild may hold the output for ever; the child is what we were asked to run. Its last words may be in the pipe
        # still: the tee has them to read from its end on, however long it was quiet before.
        quiet = tee.quiet(ended_at) > GRACE_SECONDS or time.monotonic() - asked_at > GRACE_SECONDS
        if code is not None and (quiet or not tee.is_alive()):
            return code
        got = signal.sigtimedwait(PASSED_ON, 0 if busy else TICK_SECONDS)
        # A positive si_code: from the terminal, whose signals go to the child as well.
        if got is not None and got.si_code <= 0 and code is None:
            child.send_signal(got.si_signo)
        if got is not None and got.si_signo in STOPPING and code is not None:
            asked_at = min(asked_at, time.monotonic())  # who reads the output may never go on


def _ending(code: int) -> tuple[int, bytes]:
    if code == 0:
        return spool.STOP, wire.stop(0, "exit code 0")
    if code < 0:
        return spool.CRASH, wire.crash("run", f"killed by {signal_name(-code)}", signal=-code)
    return spool.CRASH, wire.crash("run", f"exit code {code}", exit_code=code)

"""The process of the shipper, beside a job: tees its output, ships what it logs, says how it ended.

    python -m tracewinnow.logger.shipping DIR PROCESS_UUID [--stdout FD --stderr FD --lane NAME] [--done FD] [--pidfd FD]

It outlives the job: it notices the job's death, says how the job ended, sends what is left, and goes. Descriptors 1 and
2 are the job's original output. It is the only process of the two that has librdkafka.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from tracewinnow.logger import session, spool, spool_writer
from tracewinnow.logger.descriptors import Held, fill_standard
from tracewinnow.logger.detached import ALL_DONE, GAVE_UP
from tracewinnow.logger.process import Watched
from tracewinnow.logger.shipper import IDLE_SECONDS, Shipper
from tracewinnow.logger.tee import Tee
from tracewinnow.schemas.errors import BadInput, TracewinnowError

GRACE_SECONDS = 1.0  # for output that is still in the pipes when the job has ended, while others hold them open
MEMORY_SECONDS = 10.0  # between two readings of the job's memory; a sign of life as well
BUSY_SECONDS = 60.0  # after the job's end, for a `sync` that is at work on it
EXIT_SECONDS = 10.0  # for a job that has said its end to come to it, and to show an exit code that says otherwise
STOP_SECONDS = 2.0  # for a reader who is slow to take what the tee has in its hand, when this process gives up


def ship(shipper: Shipper, job: Watched, tee: Tee | None, done: Held | None) -> None:
    """Until the job has ended or said so, its output has come to an end, and so have forked children that log.

    What is known is sent when the job has gone; children keep this process, not the record.
    """
    told, until = False, 0.0
    sample_at = time.monotonic() + MEMORY_SECONDS
    while True:
        if time.monotonic() >= sample_at and not told:
            sample_at += MEMORY_SECONDS
            shipper.sample_memory()
            shipper.expire(time.time() - shipper.known.retain)
        over = job.ended()
        gone = over or shipper.cutter.ended
        busy = shipper.step()
        output_open = tee is not None and tee.is_alive()
        if gone and not busy and not told:
            waited = time.monotonic() - tee.quiet_since if tee else 0.0
            if not output_open or waited > GRACE_SECONDS:
                if tee is not None and (losses := tee.losses()):
                    shipper.cutter.note(losses)
                    print(f"tracewinnow: {losses}", file=sys.stderr, flush=True)
                if not shipper.cutter.said:
                    shipper.say_end(job.status())
                shipper.end()
                if not output_open:
                    shipper.clean()  # now: in a container this process may end with the job
                told, until = True, time.monotonic() + EXIT_SECONDS
                if line := shipper.report():
                    print(line, file=sys.stderr, flush=True)
                say(done, ALL_DONE)
        # A job does not know its exit code: `raise SystemExit(3)` looks to it as the end of its last line does, and what comes
        # behind our hook at the exit may fail. It has been let go; it is this process that waits.
        open_end = told and shipper.cutter.said == "stop" and time.monotonic() < until
        if open_end and over:
            open_end = False
            if status := job.status():
                shipper.say_crash(status)
        if told and not output_open and not open_end and not shipper.cutter.children():
            shipper.end()
            shipper.clean()
            shipper.end()  # a child's last lines
            return
        if not busy:
            # Not asleep when it ends: its parent may ask for its status at once, and then it is gone.
            job.wait(IDLE_SECONDS)


def say(done: Held | None, word: bytes) -> None:
    """Let go of the job, which waits for us at its end or holds against our end what we said before it. Once."""
    if done is not None and done.ours():
        with contextlib.suppress(OSError):  # a job that has gone
            os.write(done.fd, word)
        done.close()


def main(arguments: list[str] | None = None) -> int:
    """The process of the shipper, from its arguments to its exit code; blocks until the job has ended and all is sent."""
    parser = argparse.ArgumentParser(
        prog="tracewinnow.logger.shipping", description="Started by tracewinnow.logger.start()."
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("process_uuid")
    parser.add_argument("--stdout", type=int, help="read end of the pipe that is the job's standard output")
    parser.add_argument("--stderr", type=int)
    parser.add_argument("--lane", default="tee", help="of the spool, for that output")
    parser.add_argument("--done", type=int, help="closed when everything is done")
    parser.add_argument("--pidfd", type=int, help="of the job")
    options = parser.parse_args(arguments)
    fill_standard()
    done = None if options.done is None else Held(options.done)
    # It ends with the job, not with the job's terminal or its user's Ctrl-C.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    tee = _tee(options)  # first of all: the job's pipes must never be full because of what follows
    try:
        _main(options, tee, done)
    # Both are told while the tee works: who reads stderr may have stopped.
    except (TracewinnowError, OSError) as wrong:
        print(f"tracewinnow: nothing is sent: {wrong}", file=sys.stderr)
        return 1
    except Exception as wrong:  # noqa: BLE001
        sys.excepthook(type(wrong), wrong, wrong.__traceback__)
        return 1
    finally:
        # The interpreter's end would kill it with a chunk in its hand. What is in the pipes is for the job to read.
        if tee is not None:
            tee.stop(STOP_SECONDS)
        say(done, GAVE_UP)


def _tee(options: argparse.Namespace) -> Tee | None:
    """At work, on a lane that is locked until this process ends."""
    if options.stdout is None:
        return None
    session.lock_lane(options.directory, options.process_uuid, options.lane)
    pipes = {options.stdout: (1, spool.STDOUT), options.stderr: (2, spool.STDERR)}
    tee = Tee(pipes, spool_writer.Writer(options.directory, options.process_uuid, options.lane))
    tee.start()
    return tee


def _main(options: argparse.Namespace, tee: Tee | None, done: Held | None) -> NoReturn:
    directory, uuid = options.directory, options.process_uuid
    known = session.load(directory, uuid)
    job = Watched(known.identity.pid, options.pidfd)
    give_up_at = math.inf
    while session.lock(directory, uuid) is None:  # kept until this process ends
        # A `sync` is at work, or a shipper that we replace has not quite gone.
        if job.ended():
            give_up_at = min(give_up_at, time.monotonic() + BUSY_SECONDS)
        if time.monotonic() > give_up_at:
            raise BadInput(
                "busy", f"another process ships {uuid} in {directory}; what it leaves is for `tracewinnow sync`"
            )
        time.sleep(IDLE_SECONDS)
    shipper = Shipper(directory, known, options.lane if tee else "")
    for _ in session.expire(directory):
        pass
    signal.signal(signal.SIGTERM, lambda *_: setattr(shipper, "terminated", True))
    ship(shipper, job, tee, done)
    # Not through the interpreter's end: librdkafka would wait there for name servers and brokers that do not answer.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())

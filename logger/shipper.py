"""The shipper: a process beside the job that tees its output, cuts batches, writes the outbox and sends.

    python -m tracewinnow.logger.shipper DIR PROCESS_UUID [--stdout FD --stderr FD --lane NAME] [--done FD] [--pidfd FD]

It outlives the job: it notices the job's death, says how the job ended, sends what is left, and goes. Descriptors 1 and
2 are the job's original output. It is the only process of the two that has librdkafka.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from tracewinnow.logger import memory, outbox, session, spool, spool_writer, wire
from tracewinnow.logger.cutter import Batch, Cutter
from tracewinnow.logger.descriptors import Held, fill_standard
from tracewinnow.logger.detached import ALL_DONE, GAVE_UP
from tracewinnow.logger.process import Watched, signal_name
from tracewinnow.logger.tee import Tee
from tracewinnow.schemas.errors import BadInput, TracewinnowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tracewinnow.logger.sender import Sender

IDLE_SECONDS = 0.05
GRACE_SECONDS = 1.0  # for output that is still in the pipes when the job has ended, while others hold them open
MEMORY_SECONDS = 10.0  # between two readings of the job's memory; a sign of life as well
BUSY_SECONDS = 60.0  # after the job's end, for a `sync` that is at work on it
EXIT_SECONDS = 10.0  # for a job that has said its end to come to it, and to show an exit code that says otherwise
STOP_SECONDS = 2.0  # for a reader who is slow to take what the tee has in its hand, when this process gives up
DRAIN_SECONDS = 4.0  # without progress, to send the rest when the job has ended; less than run.finish waits


def open_cutter(directory: Path, known: session.Session) -> tuple[outbox.Outbox, Cutter]:
    """The outbox of a process and its cutter, where they were when the last one died. Raises BadInput and OSError."""
    box = outbox.Outbox(directory, known.identity.process_uuid)
    if box.last is None:
        return box, Cutter(directory, known.identity, gone=known.gone)
    return box, Cutter(directory, known.identity, box.last.state, box.last.sequence + 1, known.gone)


class Shipper:
    """Cuts, writes and sends for one process. Call `step` in a loop, `end` when nothing more can come.

    own: the lane that the tee of this process writes to; it has ended when `clean` is called.
    """

    def __init__(self, directory: Path, known: session.Session, own: str = "") -> None:
        self.directory, self.known, self.own = directory, known, own
        self.uuid = known.identity.process_uuid
        self.outbox, self.cutter = open_cutter(directory, known)
        self.terminated = False  # SIGTERM was sent to all of the job's processes, as launchers do
        self.problem = ""  # what a person should know
        self.sender: Sender | None = None
        self.unwritten: Batch | None = None
        self._retry_at = 0.0
        self._flushed = 0  # batches when the sender was last waited for
        if known.bootstrap:
            from tracewinnow.logger.sender import Sender

            acked = outbox.load_acked(directory, self.uuid)
            try:
                self.sender = Sender(directory, self.uuid, known.bootstrap, known.topic, known.identity.job_id, acked)
            except BadInput as wrong:
                self.problem = f"the broker {known.bootstrap} cannot be used: {wrong.reason}"

    def step(self, final: bool = False) -> bool:
        """Read, cut, write, send, without waiting. Whether there was anything to do."""
        busy = False
        if self._write():
            busy = self.cutter.read(final)
            if (self.cutter.due or final) and (batch := self.cutter.cut()):
                self.unwritten = batch
                busy = True
                self._write()
        self.send()
        return busy

    def _write(self) -> bool:
        """Put the batch that was cut into the outbox; False while that is not possible. Then nothing more is cut."""
        if self.unwritten is None:
            return True
        if time.monotonic() < self._retry_at:
            return False
        try:
            self.outbox.append(*self.unwritten)
        except BadInput as wrong:
            # Never, as batches are cut; and if ever, it must not keep what comes behind it from being sent.
            self.problem = wrong.reason
            if (notice := self.cutter.instead(self.unwritten, wrong.reason)) == self.unwritten:
                raise
            self.unwritten = notice
            return self._write()
        except OSError as wrong:
            if wrong.errno in (errno.ENOSPC, errno.EDQUOT) and self.expire(math.inf):
                return self._write()  # what the broker has makes room for what it has not
            self.problem = f"the outbox in {self.directory} cannot be written: {wrong.strerror}"
            self._retry_at = time.monotonic() + spool_writer.RETRY_SECONDS
            return False
        self.unwritten = None
        self.cutter.release()
        return True

    def expire(self, before: float) -> int:
        """Delete files of the outbox that the broker has, written before that Unix time; how many."""
        acked = self.sender.acked if self.sender is not None else outbox.load_acked(self.directory, self.uuid)
        try:
            return outbox.expire(self.directory, self.uuid, acked, before)
        except (BadInput, OSError) as wrong:
            self.problem = str(wrong)
            return 0

    def send(self, wait: float = 0.0) -> None:
        if self.sender is not None:
            try:
                self.sender.pump(wait)
            except (TracewinnowError, OSError) as wrong:
                self.problem = str(wrong)

    def say_crash(self, status: int | None, reported_by: str = "shipper", time_ns: int | None = None) -> None:
        """Record that the process ended without a word, with its wait status where that is known."""
        if status is None:
            hint = ", after a SIGTERM that reached its shipper too" if self.terminated else ""
            payload = wire.crash(reported_by, f"process ended without saying goodbye{hint}")
        elif os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            payload = wire.crash(reported_by, f"killed by {signal_name(number)}", signal=number)
        elif code := os.waitstatus_to_exitcode(status):
            payload = wire.crash(reported_by, f"process ended with exit code {code}", exit_code=code)
        else:
            payload = wire.crash(reported_by, "process ended without saying goodbye", exit_code=0)
        self.cutter.tell(spool.CRASH, payload, time_ns or time.time_ns())

    def say_end(self, status: int | None, time_ns: int | None = None) -> None:
        """Record the end of a process that has not said it: by its wait status, or that it went without a word.

        Where the disk had no room for its word, silence is no crash.
        """
        if self.cutter.heard or status:
            self.say_crash(status, time_ns=time_ns)
        elif status == 0:
            self.cutter.tell(spool.STOP, wire.stop(0, "exit code 0"), time.time_ns())
        else:
            self.cutter.note("nothing that the process said could be recorded: how it ended is not known")
            self.cutter.said = "unknown"

    def sample_memory(self) -> None:
        """A reading of the job's memory, at no cost for the job. None while the outbox is full: it would be of the past."""
        with contextlib.suppress(OSError):
            if self.unwritten is None:
                self.cutter.add(time.time_ns(), wire.memory(*memory.of_process(self.known.identity.pid)))

    def cut_all(self, seconds: float = 0.0) -> None:
        """Cut and write everything that is there; tries for so long where the outbox cannot be written."""
        until = time.monotonic() + (seconds if self.directory.is_dir() else 0.0)
        while self.step(final=True) or (self.unwritten and time.monotonic() < until):
            if self.unwritten:
                time.sleep(IDLE_SECONDS)

    def end(self) -> None:
        """Cut, write and send everything, until nothing gets on any more. Cheap when there is nothing new."""
        self.cut_all(DRAIN_SECONDS)
        if self.sender is not None and self._flushed < self.cutter.sequence:
            self._flushed = self.cutter.sequence
            try:
                self.sender.flush(DRAIN_SECONDS)
            except (TracewinnowError, OSError) as wrong:
                self.problem = str(wrong)

    def clean(self) -> None:
        """Record what is left of the spool and delete it; lanes of children and of others' tees that live are left to them."""
        # Those that have ended are known before the last look at what they wrote.
        lanes = spool.lanes(self.directory, self.uuid)
        over = [lane for lane in lanes if not self._written(lane)]
        self.cut_all()
        if self.unwritten is None:
            for lane in over:
                self.cutter.delete(lane)
                session.forget_lane(self.directory, self.uuid, lane)

    def _written(self, lane: str) -> bool:
        """Whether another process may write to a lane still: a child of the job, or a shipper that waits for our lock."""
        if session.process_start(spool.fork_pid(lane)):
            return True
        return lane != self.own and session.lane_held(self.directory, self.uuid, lane)

    def left(self) -> int:
        """Batches that the broker has not acknowledged."""
        return 0 if self.sender is None else self.cutter.sequence - self.sender.acked

    def report(self) -> str:
        """One line for the person at the job's end, or "" when all is well."""
        if self.unwritten is not None and not self.directory.is_dir():
            return f"tracewinnow: the spool {self.directory} was deleted while the job ran; what was not sent by then is lost"
        if self.unwritten is not None:
            return f"tracewinnow: {self.problem}; the rest stays in the spool until `tracewinnow sync {self.directory}`"
        if self.known.bootstrap and (self.sender is None or self.left()):
            count = self.cutter.sequence if self.sender is None else self.left()
            why = self.problem or (self.sender.error if self.sender else "") or "the broker does not answer"
            return (
                f"tracewinnow: {count} {'batch is' if count == 1 else 'batches are'} in {self.directory} ({why}). "
                f"Send with: tracewinnow sync {self.directory} --bootstrap {self.known.bootstrap if self.sender else 'HOST:PORT'}"
            )
        return f"tracewinnow: {self.problem}" if self.problem else ""


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
        prog="tracewinnow.logger.shipper", description="Started by tracewinnow.logger.start()."
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

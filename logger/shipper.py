"""What a process logged -> batches in its outbox -> the broker. Used by the process beside a job (shipping.py) and by `sync`."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
from pathlib import Path

from tracewinnow.logger import memory, outbox, session, spool, spool_writer, wire
from tracewinnow.logger.cutter import Batch, Cutter
from tracewinnow.logger.process import signal_name
from tracewinnow.schemas.errors import BadInput, TracewinnowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tracewinnow.logger.sender import Sender

IDLE_SECONDS = 0.05
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

"""Captures what the process prints, at the level of descriptors 1 and 2, so that native code is captured too.

Both become pipes; the shipper reads them, passes everything on to where it would have gone, and records it. This
process keeps the read ends open: when a shipper dies there is no EPIPE, and a new one (or a thread in here) goes on reading.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tracewinnow.logger import spool, spool_writer
from tracewinnow.logger.descriptors import Held, mark
from tracewinnow.logger.detached import ALL_DONE, Detached
from tracewinnow.logger.redirect import Redirect, flush, flush_native, keep_line_buffering
from tracewinnow.logger.tee import Tee, marked, write_all

RESTARTS = 3
DRAIN_SECONDS = 0.5
LIVED_SECONDS = 60.0  # a shipper that lived so long may be killed RESTARTS times more
KINDS = {1: spool.STDOUT, 2: spool.STDERR}


class Companion:
    """The shipper beside this process, and the pipes between. Methods raise OSError only where they say so."""

    def __init__(self, directory: Path, process_uuid: str, capture: bool, warn: Callable[[str], None]) -> None:
        self.directory, self.process_uuid, self.warn = directory, process_uuid, warn
        self.pid = os.getpid()
        self.captured: frozenset[str] = frozenset()  # marks of pipes whose output is recorded, by us or around us
        self._redirects: list[Redirect] = []  # of 1 and 2; empty while nothing is captured
        self._wanted = capture
        self._ending = False
        self._leaving = False
        self._lock = threading.Lock()
        self._shipper: Detached | None = None
        self._tee: Tee | None = None  # in here, when no shipper is left
        # The shipper closes the write end; ours is open only while one is started.
        self._done: Held | None = None
        self._done_write: Held | None = None
        self._started = 0

    def start(self) -> None:
        """Raises OSError and RuntimeError when no process can be started; then nothing has changed."""
        # A process around this one may capture what we print already: once is enough.
        self.captured = frozenset(mark(fd) for fd in (1, 2) if marked(fd))
        if self._wanted and not self.captured:
            self._pipes()
        try:
            self._spawn()
        except BaseException:
            self._close_pipes()
            raise
        if self._redirects:
            flush()
            keep_line_buffering()
            os.environ["TRACEWINNOW_TEE"] = " ".join(one.pipe for one in self._redirects)
            for one in self._redirects:
                one.begin()
            self.captured = frozenset(one.pipe for one in self._redirects)
        try:
            threading.Thread(target=self._watch, name="tracewinnow-watch", daemon=True).start()
        except RuntimeError as wrong:  # the shipper works; were it killed, nobody would replace it
            self.warn(f"the shipper is not watched: {wrong}")

    def _pipes(self) -> None:
        try:
            for target in KINDS:
                self._redirects.append(Redirect(target))
        except OSError as wrong:
            self._close_pipes()
            self.warn(f"output is not captured: {wrong}")

    def _close_pipes(self) -> None:
        for one in self._redirects:
            one.close()
        self._redirects = []

    def _spawn(self) -> None:
        """Raises OSError and RuntimeError."""
        if not all(one.intact() for one in self._redirects):
            raise OSError("the job has closed the descriptors by which its output is passed on")
        read, write = os.pipe()
        self._done, self._done_write = Held(read), Held(write)
        words = [str(self.directory), self.process_uuid, "--done", str(write)]
        pass_fds = [write]
        if self._redirects:
            ends = [one.read.fd for one in self._redirects]
            words += ["--stdout", str(ends[0]), "--stderr", str(ends[1]), "--lane", f"tee{self._started or ''}"]
            pass_fds += ends
        self._started += 1
        outputs = [one.original.fd for one in self._redirects]
        pidfd = None
        try:
            os.set_blocking(read, False)
            # Opened by ourselves: we may have died, and our status be gone, before the shipper is ready to look for us.
            with contextlib.suppress(OSError, AttributeError):
                pidfd = os.pidfd_open(self.pid)
                words += ["--pidfd", str(pidfd)]
                pass_fds.append(pidfd)
            self._shipper = Detached()
            self._shipper.start(words, pass_fds, *outputs)
        except BaseException:
            self._shipper = None
            self._done.close()
            raise
        finally:
            self._done_write.close()
            if pidfd is not None:
                os.close(pidfd)

    def _word(self) -> bytes:
        """The last of a shipper that has ended; b"" of one that was killed."""
        try:
            return os.read(self._done.fd, 1) if self._done is not None and self._done.ours() else b""
        except OSError:  # a forked child may hold the other end open
            return b""

    def _watch(self) -> None:
        """Thread: waits for the end of the shipper; when that was too early, starts another, or undoes the capture."""
        began, restarts = time.monotonic(), RESTARTS
        while shipper := self._shipper:
            # Not for the end of `done`: a forked child may hold it open, and a shipper that has read the run's end lives on.
            if not shipper.wait():
                return
            with self._lock:
                word = self._word()
                if self._leaving or (self._ending and word == ALL_DONE):  # its work is done, and `leave` is late
                    return
                if self._done is not None:
                    self._done.close()
                if time.monotonic() - began > LIVED_SECONDS:
                    restarts = RESTARTS
                # One that was killed is replaced; one that gave up would do so again.
                if not word and restarts:
                    began, restarts = time.monotonic(), restarts - 1
                    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: the interpreter is at its end
                        self._spawn()
                        continue
                self._shipper = None
                self._tee = self._own_tee()
                self._restore()
            kept = (
                f"what this process logs is kept in {self.directory}: send it with `tracewinnow sync {self.directory}`"
            )
            lost = f"the spool {self.directory} was deleted while the job ran, and what was not sent by then is lost"
            self.warn(f"the shipper {'gave up' if word else 'was killed'}; {kept if self.directory.is_dir() else lost}")
            if self._tee is not None:
                self._tee.run()

    def _own_tee(self) -> Tee | None:
        """Reads the pipes in here, for children may print into them; with a lane of its own, as each shipper has."""
        pipes = {one.read.fd: (one.original.fd, KINDS[one.target]) for one in self._redirects if one.intact()}
        if not pipes:
            return None
        return Tee(pipes, spool_writer.Writer(self.directory, self.process_uuid, f"tee{self._started}"))

    def _restore(self) -> None:
        """Descriptors 1 and 2 lead where they led before. The caller holds the lock.

        Nothing is flushed here: another thread may be inside a write that waits for the full pipe of a dead shipper.
        """
        if all([one.undo(abandoned=self._shipper is None) for one in self._redirects]) and self._redirects:  # noqa: C419
            self.captured = frozenset()
            os.environ.pop("TRACEWINNOW_TEE", None)
        self._redirects = []

    def drain(self) -> None:
        """Flush what was printed, and wait a moment until the shipper has read it, so that it stands before the end."""
        if not self._redirects:
            return
        flush_native()
        until = time.monotonic() + DRAIN_SECONDS
        with contextlib.suppress(OSError):
            while any(one.waiting() for one in list(self._redirects)) and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(0.001)

    def ending(self) -> None:
        """The run is about to say its end: a shipper that has read it may go. Does not block."""
        self._ending = True

    def leave(self, timeout: float) -> bool:
        """Undo the capture and wait for the shipper to finish its work; whether it did in time."""
        if self._redirects:
            flush()
        with self._lock:
            if self._leaving:
                return True
            self._leaving = True
            kept = self._redirects
            self._restore()
            for one in kept:
                one.close()
        if self._shipper is None:
            if self._tee is not None and (losses := self._tee.losses()):
                self.warn(losses)
            return False
        if self._done is None or not self._done.ours():
            return False
        # Not for its end: it waits for ours, see `shipping.ship`.
        poll = select.poll()
        poll.register(self._done.fd, select.POLLIN | select.POLLHUP)
        finished = bool(poll.poll(timeout * 1000))
        self._done.close()
        return finished

    def forget(self) -> None:
        """In a forked child: the shipper is the parent's, and so are the read ends of the pipes, and `done`."""
        self._close_pipes()
        for held in (self._done, self._done_write):
            if held is not None:
                held.close()
        if self._shipper is not None:
            self._shipper.forget()
        self._shipper = None
        self._leaving, self._lock = True, threading.Lock()

    def say(self, line: str) -> None:
        """A line for the person, past the capture."""
        past = next((one.original.fd for one in self._redirects if one.target == 2 and one.intact()), 2)
        write_all(past, line.encode("utf-8", "backslashreplace") + b"\n")

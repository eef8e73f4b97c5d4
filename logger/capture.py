"""Captures what the process prints, at the level of descriptors 1 and 2, so that native code is captured too.

Both become pipes; the shipper reads them, passes everything on to where it would have gone, and records it. This
process keeps the read ends open: when a shipper dies there is no EPIPE, and a new one (or a thread in here) goes on reading.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tracewinnow.logger import spool, spool_writer
from tracewinnow.logger.tee import Tee, mark, marked, write_all

PIPE_BYTES = 1 << 20
RESTARTS = 3
DRAIN_SECONDS = 0.5
LIVED_SECONDS = 60.0  # a shipper that lived so long may be killed RESTARTS times more
# Not `python -m`: that would look into the job's working directory first, where any module name may stand.
BOOT = """import sys
sys.path[:1] = []
sys.path += [entry for entry in {path!r} if entry not in sys.path]
from tracewinnow.logger.shipper import main
sys.exit(main())
"""


class Companion:
    """The shipper beside this process, and the pipes between. Methods raise OSError only where they say so."""

    def __init__(self, directory: Path, process_uuid: str, capture: bool, warn: Callable[[str], None]) -> None:
        self.directory, self.process_uuid, self.warn = directory, process_uuid, warn
        self.pid = os.getpid()
        self.originals: dict[int, int] = {}  # 1 and 2 -> where they led before; empty while nothing is captured
        self.captured: frozenset[int] = frozenset()  # descriptors whose output is recorded, by us or around us
        self._reads: dict[int, int] = {}  # 1 and 2 -> read end of their pipe
        self._wanted = capture
        self._ending = False
        self._leaving = False
        self._lock = threading.Lock()
        self._shipper: subprocess.Popen[bytes] | None = None
        self._tee: Tee | None = None  # in here, when no shipper is left
        self._done = self._done_write = -1  # the shipper closes the write end; ours is open only while one is started
        self._started = 0

    def start(self) -> None:
        """Raises OSError when no process can be started; then nothing has changed."""
        # A process around this one may capture what we print already: once is enough.
        self.captured = frozenset(fd for fd in (1, 2) if marked(fd))
        writes = self._pipes() if self._wanted and not self.captured else {}
        try:
            self._spawn()
        except OSError:
            for fd in (*writes.values(), *self._reads.values(), *self.originals.values()):
                os.close(fd)
            self._reads, self.originals = {}, {}
            raise
        if writes:
            flush()
            _keep_line_buffering()
            os.environ["TRACEWINNOW_TEE"] = mark(*writes.values())
            for target, fd in writes.items():
                os.dup2(fd, target)
                os.close(fd)
            self.captured = frozenset(writes)
        threading.Thread(target=self._watch, name="tracewinnow-watch", daemon=True).start()

    def _pipes(self) -> dict[int, int]:
        writes: dict[int, int] = {}
        try:
            for target in (1, 2):
                self.originals[target] = fcntl.fcntl(target, fcntl.F_DUPFD_CLOEXEC, 3)
                self._reads[target], writes[target] = os.pipe()
                with contextlib.suppress(OSError, AttributeError):
                    fcntl.fcntl(writes[target], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError as wrong:  # a daemon without standard output
            for fd in (*writes.values(), *self._reads.values(), *self.originals.values()):
                os.close(fd)
            self._reads, self.originals = {}, {}
            self.warn(f"output is not captured: {wrong}")
            return {}
        return writes

    def _spawn(self) -> None:
        self._done, self._done_write = os.pipe()
        command = [sys.executable or "python3", "-c", BOOT.format(path=[p for p in sys.path if p])]
        command += [str(self.directory), self.process_uuid, "--done", str(self._done_write)]
        pass_fds = [self._done_write]
        if self._reads:
            lane = f"tee{self._started or ''}"
            command += ["--stdout", str(self._reads[1]), "--stderr", str(self._reads[2]), "--lane", lane]
            pass_fds += self._reads.values()
        self._started += 1
        pidfd = None
        try:
            # Opened by ourselves: we may have died, and our status be gone, before the shipper is ready to look for us.
            with contextlib.suppress(OSError, AttributeError):
                pidfd = os.pidfd_open(self.pid)
                command += ["--pidfd", str(pidfd)]
                pass_fds.append(pidfd)
            # A session of its own: Ctrl-C and a closing terminal end the job, and the shipper after it.
            self._shipper = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self.originals.get(1),
                stderr=self.originals.get(2),
                pass_fds=pass_fds,
                start_new_session=True,
            )
        except Exception:
            self._close_done()
            raise
        finally:
            write, self._done_write = self._done_write, -1
            os.close(write)
            if pidfd is not None:
                os.close(pidfd)

    def _close_done(self) -> None:
        # Forgotten first: a child that is forked in between would close another file that got the number.
        done, self._done = self._done, -1
        os.close(done)

    def _watch(self) -> None:
        """Thread: waits for the end of the shipper; when that was too early, starts another, or undoes the capture."""
        began, restarts = time.monotonic(), RESTARTS
        while shipper := self._shipper:
            # Not for the end of `done`: a forked child may hold it open, and a shipper that has read the run's end lives on.
            status = shipper.wait()
            with self._lock:
                if self._leaving or (self._ending and status == 0):  # its work is done, and `leave` is late
                    return
                self._close_done()
                if time.monotonic() - began > LIVED_SECONDS:
                    restarts = RESTARTS
                # One that was killed is replaced; one that gave up would do so again.
                if status < 0 and restarts:
                    began, restarts = time.monotonic(), restarts - 1
                    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: the interpreter is at its end
                        self._spawn()
                        continue
                self._shipper = None
                self._tee = self._own_tee() if self._reads else None
                self._restore()
            self.warn(
                f"the shipper ended (status {status}); what this process logs is kept in {self.directory}: "
                f"send it with `tracewinnow sync {self.directory}`"
            )
            if self._tee is not None:
                self._tee.run()

    def _own_tee(self) -> Tee:
        """Reads the pipes in here, for children may print into them; with a lane of its own, as each shipper has."""
        pipes = {self._reads[n]: (self.originals[n], kind) for n, kind in ((1, spool.STDOUT), (2, spool.STDERR))}
        return Tee(pipes, spool_writer.Writer(self.directory, self.process_uuid, f"tee{self._started}"))

    def _restore(self) -> None:
        """Descriptors 1 and 2 lead where they led before. The caller holds the lock.

        Nothing is flushed here: another thread may be inside a write that waits for the full pipe of a dead shipper.
        """
        for target, fd in self.originals.items():
            os.dup2(fd, target)
            self.captured = frozenset()
            os.environ.pop("TRACEWINNOW_TEE", None)
        self.originals, self._reads = {}, {}

    def drain(self) -> None:
        """Flush what was printed, and wait a moment until the shipper has read it, so that it stands before the end."""
        if not self.originals:
            return
        flush_native()
        until = time.monotonic() + DRAIN_SECONDS
        with contextlib.suppress(OSError):
            while any(self._waiting(fd) for fd in list(self._reads.values())) and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(0.001)

    @staticmethod
    def _waiting(fd: int) -> int:
        """Bytes in a pipe."""
        count = array.array("i", [0])
        fcntl.ioctl(fd, termios.FIONREAD, count)
        return count[0]

    def ending(self) -> None:
        """The run is about to say its end: a shipper that has read it may go. Does not block."""
        self._ending = True

    def leave(self, timeout: float) -> bool:
        """Undo the capture and wait for the shipper to finish its work; whether it did in time."""
        if self.originals:
            flush()
        with self._lock:
            if self._leaving:
                return True
            self._leaving = True
            kept = [*self._reads.values(), *self.originals.values()]
            self._restore()
            for fd in kept:
                os.close(fd)
        if self._shipper is None:
            if self._tee is not None and (losses := self._tee.losses()):
                self.warn(losses)
            return False
        # Not for its end: it waits for ours, see `shipper.ship`.
        poll = select.poll()
        poll.register(self._done, select.POLLIN | select.POLLHUP)
        return bool(poll.poll(timeout * 1000))

    def forget(self) -> None:
        """In a forked child: the shipper is the parent's, and so are the read ends of the pipes, and `done`."""
        for fd in (*self._reads.values(), *self.originals.values(), self._done, self._done_write):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._done = self._done_write = -1
        self._reads, self.originals, self._shipper = {}, {}, None
        self._leaving, self._lock = True, threading.Lock()

    def say(self, line: str) -> None:
        """A line for the person, past the capture."""
        write_all(self.originals.get(2, 2), line.encode("utf-8", "backslashreplace") + b"\n")


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def flush_native() -> None:
    """What C code has printed and libc has not written yet. A stream that another thread keeps locked is left out."""
    flush()
    with contextlib.suppress(Exception):
        import ctypes

        libc, until = ctypes.CDLL(None), time.monotonic() + DRAIN_SECONDS
        # Not fflush(NULL): a thread in getchar() holds the lock of standard input. Nor a thread that may hang in fflush: from
        # Python 3.12 on exit hooks can start none. What is left out comes by libc's flush at the exit: passed on, not recorded.
        for name in ("stdout", "stderr"):
            stream = ctypes.c_void_p.in_dll(libc, name)
            while (locked := libc.ftrylockfile(stream)) and time.monotonic() < until:
                time.sleep(0.001)
            if not locked:
                try:
                    libc.fflush(stream)
                finally:
                    libc.funlockfile(stream)


def _keep_line_buffering() -> None:
    """On a terminal, libc writes line by line; it must go on so when the descriptor becomes a pipe."""
    with contextlib.suppress(Exception):
        if os.isatty(1):
            import ctypes

            libc = ctypes.CDLL(None)
            line_buffered = 1
            libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, line_buffered, 0)

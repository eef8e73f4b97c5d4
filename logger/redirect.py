"""Descriptors 1 and 2 of a job led into pipes, and back; and what its streams have in hand meanwhile."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import sys
import termios
import time

from tracewinnow.logger.descriptors import Held, mark

PIPE_BYTES = 1 << 20
FLUSH_SECONDS = 0.5  # for a stream of C that another thread keeps locked


class Redirect:
    """One of them: where it led before and the read end of its pipe, both kept open in the job.

    The job may redirect it again, or close what we keep: what is not as we left it is left as it is.
    Raises OSError where there is no such descriptor or none are left; then nothing has changed.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.original = Held(fcntl.fcntl(target, fcntl.F_DUPFD_CLOEXEC, 3))
        try:
            read, write = os.pipe()
        except OSError:
            self.original.close()
            raise
        self.read, self._write = Held(read), Held(write)
        self.pipe = mark(write)
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def begin(self) -> None:
        """From here on what is printed goes into the pipe."""
        os.dup2(self._write.fd, self.target)
        self._write.close()

    def intact(self) -> bool:
        """Whether what we keep is still ours. A file of the job may be the very one that the target led to; no pipe is."""
        return self.read.ours() and self.original.ours()

    def undo(self, abandoned: bool) -> bool:
        """The target leads where it led before; whether nothing goes into the pipe any more, as far as we know.

        abandoned: nobody reads the pipe, which must not fail the job, whatever it has closed.
        """
        try:
            if mark(self.target) != self.pipe:
                return True
        except OSError:  # the job has closed it
            return True
        if self.intact():
            os.dup2(self.original.fd, self.target)
            return True
        if abandoned:
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                os.dup2(null, self.target)
                os.close(null)
        return abandoned

    def waiting(self) -> int:
        """Bytes in the pipe. Raises OSError."""
        count = array.array("i", [0])
        if self.read.ours():
            fcntl.ioctl(self.read.fd, termios.FIONREAD, count)
        return count[0]

    def close(self) -> None:
        """What we keep. Where the job has closed the read end, it has closed the original as well, and who knows what is there."""
        if self.read.ours():
            self.original.close()
        self.read.close()
        self._write.close()


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def flush_native() -> None:
    """What C code has printed and libc has not written yet. A stream that another thread keeps locked is left out."""
    flush()
    with contextlib.suppress(Exception):
        import ctypes

        libc, until = ctypes.CDLL(None), time.monotonic() + FLUSH_SECONDS
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


def keep_line_buffering() -> None:
    """On a terminal, libc writes line by line; it must go on so when the descriptor becomes a pipe."""
    with contextlib.suppress(Exception):
        if os.isatty(1):
            import ctypes

            libc = ctypes.CDLL(None)
            line_buffered = 1
            libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, line_buffered, 0)

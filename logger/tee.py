"""Copies what a job prints to where it would have gone, and into the spool."""

from __future__ import annotations

import os
import select
import threading
import time

from tracewinnow.logger import spool, wire

CHUNK = 64 << 10


def write_all(fd: int, data: bytes) -> bool:
    """Write everything, also to a terminal or pipe that does not block; False when nobody reads there any more."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll(1000)
        except OSError:
            return False
    return True


def mark(*fds: int) -> str:
    """Names pipes for child processes (TRACEWINNOW_TEE): who finds its output among them is recorded already."""
    return " ".join(f"{stat.st_dev}:{stat.st_ino}" for stat in map(os.fstat, fds))


def marked(fd: int) -> bool:
    """Whether what is written to a descriptor goes through the tee of another process."""
    try:
        return mark(fd) in os.environ.get("TRACEWINNOW_TEE", "").split()
    except OSError:
        return False


class Tee(threading.Thread):
    """pipes: read end -> (original descriptor, kind of record). Ends when every pipe has ended.

    lost: bytes that were passed on and could not be recorded.
    """

    def __init__(self, pipes: dict[int, tuple[int, int]], lane: spool.Writer) -> None:
        super().__init__(name="tracewinnow-tee", daemon=True)
        self.pipes, self.lane = dict(pipes), lane
        self.quiet_since = time.monotonic()  # when the last bytes had been passed on
        self.lost = 0
        self._cut: set[int] = set()  # kinds of record whose last bytes were lost
        self._idle = False  # it waits for bytes

    def quiet(self, since: float) -> float:
        """Seconds, after that monotonic time, in which nothing came; 0 while a slow reader is being waited for."""
        return time.monotonic() - max(since, self.quiet_since) if self._idle else 0.0

    def losses(self) -> str:
        """What a person should know of `lost`; "" where there is nothing."""
        return f"{self.lost} bytes of output could not be recorded: {self.lane.error}" if self.lost else ""

    def _record(self, kind: int, chunk: bytes) -> None:
        # The line that a loss cuts off ends there: with what comes behind it, it would be one that nobody has printed.
        data = wire.MISSING + b"\n" + chunk if kind in self._cut else chunk
        if self.lane.append(kind, data, time.time_ns()):
            self._cut.discard(kind)
        else:
            self._cut.add(kind)
            self.lost += len(chunk)

    def run(self) -> None:
        poll = select.poll()
        for fd in self.pipes:
            poll.register(fd, select.POLLIN)
        broken: set[int] = set()
        while self.pipes:
            self._idle = True
            ready = poll.poll()
            self._idle = False
            for fd, _ in ready:
                original, kind = self.pipes[fd]
                chunk = os.read(fd, CHUNK)
                if not chunk:
                    if kind in self._cut:
                        self._record(kind, b"")
                    poll.unregister(fd)
                    del self.pipes[fd]
                    os.close(fd)
                    continue
                # The spool first: a shipper that is killed in between repeats nothing, and loses nothing of the record.
                self._record(kind, chunk)
                if original not in broken and not write_all(original, chunk):
                    broken.add(original)  # the terminal has gone; the record goes on
                self.quiet_since = time.monotonic()

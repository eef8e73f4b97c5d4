"""Copies what a job prints to where it would have gone, and into the spool."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time

from tracewinnow.logger import spool_writer, wire
from tracewinnow.logger.descriptors import mark

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


def marked(fd: int) -> bool:
    """Whether what is written to a descriptor goes through the tee of another process, which marks its pipes for its children."""
    try:
        return mark(fd) in os.environ.get("TRACEWINNOW_TEE", "").split()
    except OSError:
        return False


class _Stream:
    """One pipe, and where what comes out of it goes. Used by one thread; others look at lost, idle and quiet_since."""

    def __init__(self, fd: int, original: int, kind: int, lane: spool_writer.Writer) -> None:
        self.fd, self.original, self.kind, self.lane = fd, original, kind, lane
        self.quiet_since = time.monotonic()  # when its last bytes had been passed on
        self.idle = False  # its thread waits for bytes
        self.lost = 0
        self._cut = False  # its last bytes were lost
        self._broken = False  # nobody reads there any more

    def place(self) -> str:
        """Names the file, pipe or terminal that it leads to."""
        try:
            return mark(self.original)
        except OSError:
            return str(self.original)

    def pass_on(self) -> bool:
        """What is in the pipe now, one chunk at most; False at the pipe's end. Blocks while a reader is slow."""
        chunk = os.read(self.fd, CHUNK)
        if not chunk:
            return False
        # The spool first: a shipper that is killed in between repeats nothing, and loses nothing of the record.
        self._record(chunk)
        if not self._broken and not write_all(self.original, chunk):
            self._broken = True  # the terminal has gone; the record goes on
        self.quiet_since = time.monotonic()
        return True

    def end(self) -> None:
        """No more is read: a line that a loss has cut off ends here."""
        if self._cut:
            self._record(b"")

    def _record(self, chunk: bytes) -> None:
        # The line that a loss cuts off ends there: with what comes behind it, it would be one that nobody has printed.
        data = wire.MISSING + b"\n" + chunk if self._cut else chunk
        self._cut = not self.lane.append(self.kind, data, time.time_ns())
        if self._cut:
            self.lost += len(chunk)


class Tee(threading.Thread):
    """pipes: read end -> (original descriptor, kind of record). Ends when every pipe has ended, or when it is stopped.

    A thread for each place that is written to: a reader that takes nothing from one must not hold up the other. Pipes that
    lead to the same place share one: there they would wait for each other anyway, and their lines must not mix.
    """

    def __init__(self, pipes: dict[int, tuple[int, int]], lane: spool_writer.Writer) -> None:
        super().__init__(name="tracewinnow-tee", daemon=True)
        self.pipes, self.lane = dict(pipes), lane
        self._streams = [_Stream(fd, original, kind, lane) for fd, (original, kind) in pipes.items()]
        self._stopping = False
        self._wake: tuple[int, ...] = ()  # a pipe that has something to read when it is to stop
        self._wake_lock = threading.Lock()
        self._over = threading.Event()

    @property
    def quiet_since(self) -> float:
        """When the last bytes of any pipe had been passed on, in monotonic time."""
        return max(stream.quiet_since for stream in self._streams)

    def quiet(self, since: float) -> float:
        """Seconds, after that monotonic time, in which nothing came; 0 while a slow reader is being waited for."""
        idle = all(stream.idle for stream in self._streams)
        return time.monotonic() - max(since, self.quiet_since) if idle else 0.0

    @property
    def lost(self) -> int:
        """Bytes that were passed on and could not be recorded."""
        return sum(stream.lost for stream in self._streams)

    def losses(self) -> str:
        """What a person should know of `lost`; "" where there is nothing."""
        return f"{self.lost} bytes of output could not be recorded: {self.lane.error}" if self.lost else ""

    def stop(self, seconds: float) -> bool:
        """End between two chunks and leave the rest in the pipes, for others to read.

        Waits for so many seconds; whether that was enough: a reader who takes nothing holds a chunk for ever.
        """
        self._stopping = True
        with self._wake_lock:
            if self._wake:
                os.write(self._wake[1], b"x")  # which stays there: every thread is to see it
        return self._over.wait(seconds)

    def run(self) -> None:
        with contextlib.suppress(OSError):  # without one it sees at its next chunk that it is to stop
            self._wake = os.pipe()
        groups: dict[str, list[_Stream]] = {}
        for stream in self._streams:
            groups.setdefault(stream.place(), []).append(stream)
        waiting, threads = list(groups.values()), []
        try:
            while len(waiting) > 1:
                thread = threading.Thread(target=self._serve, args=waiting[-1:], name=self.name, daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # there may be no more of them: then this one serves the rest
                    break
                threads.append(thread)
                waiting.pop()
            self._serve([stream for group in waiting for stream in group])
        finally:
            for thread in threads:
                thread.join()
            with self._wake_lock:
                for fd in self._wake:
                    os.close(fd)
                self._wake = ()
            self._over.set()

    def _serve(self, streams: list[_Stream]) -> None:
        open_ = {stream.fd: stream for stream in streams}
        poll = select.poll()
        for fd in (*open_, *self._wake[:1]):
            poll.register(fd, select.POLLIN)
        while open_ and not self._stopping:
            for stream in streams:
                stream.idle = True
            ready = poll.poll()
            for stream in streams:
                stream.idle = False
            for fd, _ in ready:
                if fd in open_ and not open_[fd].pass_on():
                    open_.pop(fd).end()
                    poll.unregister(fd)
                    del self.pipes[fd]
                    os.close(fd)
        for stream in open_.values():
            stream.end()
        for stream in streams:
            stream.idle = True

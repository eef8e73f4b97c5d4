"""The spool's writer: appends to memory-mapped segments of one lane.

An event is in the page cache when `Writer.append` returns, so killing the process loses nothing of it.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections import deque
from pathlib import Path
from zlib import crc32

from tracewinnow.logger.spool import BODY, END, FRAME, LARGEST, MAGIC, UNFINISHED, URGENT, segment_path

SEGMENT_BYTES = 8 << 20
RESERVE = 32 << 10  # of a segment, for the events that tell how the job ended, when the disk is full
SHORT_BYTES = 128 << 10  # of a lane's first segment where the disk has no room for a whole one
RETRY_SECONDS = 1.0  # after a failed allocation
DEFERRED = 1000  # records of signal handlers and finalizers that one append keeps back, at most


class ReferenceSlot:
    """A place in a segment. Not safe for use in several threads: the writer's lock is around it."""

    def __init__(self, memory: mmap.mmap | bytearray, at: int, usable: int) -> None:
        self.memory, self.at, self.usable = memory, at, usable

    def close(self) -> None:
        """Nothing is written any more."""
        self.usable = 0

    def open(self, usable: int) -> None:
        """Let it be written to, up to `usable`."""
        self.usable = usable

    def put(self, kind: int, payload: bytes, time_ns: int) -> bool:
        """Write a record; False where there is no room for it."""
        return self._put(kind, payload, time_ns, self.usable)

    def put_last(self, kind: int, payload: bytes, time_ns: int) -> bool:
        """The same up to the end of the memory, whatever is usable, also when it is closed."""
        return self._put(kind, payload, time_ns, len(self.memory))

    def _put(self, kind: int, payload: bytes, time_ns: int, usable: int) -> bool:
        body = BODY.pack(time_ns, kind) + payload
        frame = FRAME.pack(len(body), crc32(body)) + body
        end = self.at + len(frame)
        if end > usable:
            return False
        try:
            # One memcpy under the interpreter lock: no other thread, no signal handler gets between.
            self.memory[self.at : end] = frame
            self.at = end
        except BaseException:  # KeyboardInterrupt right behind the copy: the record stands, and the next goes behind it
            if self.memory[self.at : end] == frame:
                self.at = end
            raise
        return True


try:  # where it was not built a job runs all the same, at two microseconds more for a line
    from tracewinnow.logger._slot import Slot
except ImportError:
    Slot = ReferenceSlot  # type: ignore[misc, assignment]


class Writer:
    """Appends to one lane, up to an END. Thread-safe; never raises; what could not be written is counted in `lost`."""

    def __init__(self, directory: Path, process_uuid: str, lane: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.directory, self.process_uuid, self.lane = directory, process_uuid, lane
        self.segment_bytes = max(segment_bytes, 2 * LARGEST)
        self.lost = 0
        self.error = ""  # the last reason for a loss, or for a short segment
        self.short = False  # the disk had no room for a whole first segment
        self._number = -1
        self._size = 0  # of the segment that is written to
        self._new = ReferenceSlot if os.environ.get("TRACEWINNOW_PURE") == "1" else Slot
        self._slot: Slot | ReferenceSlot = self._new(bytearray(0), 0, 0)  # at 0: none, and none is opened again
        self._alone = self._new is not ReferenceSlot  # a record is written in one call, which needs no lock
        self._retry_at = 0.0
        # Re-entrant, because a signal handler or a finalizer may log while this thread is inside append.
        self._lock = threading.RLock()
        self._busy = False
        self._deferred: deque[tuple[int, bytes, int]] = deque()
        self._emptying = False  # what was deferred is being appended
        self._ended = False

    def append(self, kind: int, payload: bytes, time_ns: int) -> bool:
        """Whether the record was written, or will be by an append that this one interrupts.

        Does not block but for other threads that are inside.
        """
        if self._alone and kind != END and self._slot.put(kind, payload, time_ns):
            return True
        try:
            with self._lock:
                if self._busy:
                    return self._defer(kind, payload, time_ns)
                self._busy = True
                try:
                    written = self._slowly(kind, payload, time_ns)
                    self.lost += not written
                    return written
                finally:
                    self._busy = False
        finally:
            if self._deferred and not self._busy:
                self._append_deferred()

    def _slowly(self, kind: int, payload: bytes, time_ns: int) -> bool:
        if self._ended:
            self.error = "the run is finished"
            return False
        if kind == END:
            if self._deferred:
                self._busy = False
                self._append_deferred()
                self._busy = True
            return self._end(payload, time_ns)
        return self._slot.put(kind, payload, time_ns) or self._elsewhere(kind, payload, time_ns)

    def _defer(self, kind: int, payload: bytes, time_ns: int) -> bool:
        if len(self._deferred) >= DEFERRED:
            self.lost, self.error = self.lost + 1, f"more than {DEFERRED} events within one"
            return False
        self._deferred.append((kind, payload, time_ns))
        return True

    def _append_deferred(self) -> None:
        """What a signal handler or a finalizer of this thread logged meanwhile."""
        if self._emptying:  # further out, or in another thread
            return
        self._emptying = True
        try:
            while self._deferred:
                self.append(*self._deferred.popleft())
        finally:
            self._emptying = False

    def _elsewhere(self, kind: int, payload: bytes, time_ns: int) -> bool:
        """Write a record for which there is no room: into a new segment, or where room is kept for such as it."""
        if len(payload) + BODY.size > LARGEST:
            self.error = f"an event of {len(payload)} bytes; {LARGEST - BODY.size} is the most"
            return False
        if time.monotonic() >= self._retry_at and (fresh := self._rotate()):
            # Before other threads, which write without a lock, see it: by the time that this one is back they may have filled it.
            try:
                return fresh.put(kind, payload, time_ns)
            finally:
                if kind == END:
                    fresh.close()
                self._slot = fresh
        # The others go on up to what is usable for them: what is kept for the end is not theirs.
        return kind in URGENT and self._at_last(kind, payload, time_ns)

    def _at_last(self, kind: int, payload: bytes, time_ns: int) -> bool:
        """Write a record into what is kept for the end, but where an interrupt has left a successor: readers may be there."""
        return not self._successor().exists() and self._slot.put_last(kind, payload, time_ns)

    def _end(self, payload: bytes, time_ns: int) -> bool:
        """Behind the END, and from here on, nobody writes: the reader may delete the lane when it has seen one."""
        self._slot.close()
        self._ended = self._at_last(END, payload, time_ns) or self._elsewhere(END, payload, time_ns)
        self._slot.close()
        return self._ended

    def _rotate(self) -> Slot | ReferenceSlot | None:
        """The next segment, begun, in which nobody writes yet; None where there is no room for one."""
        # Before there is a successor: a reader that sees one takes this segment for finished. An interrupt may leave one, too:
        # then it stays closed, and the next append makes the next.
        self._slot.close()
        try:
            fresh = self._fresh()
        except (OSError, ValueError) as wrong:
            if self._slot.at and not self._successor().exists():
                self._slot.open(self._size - RESERVE)
            self.error = str(wrong)
            self._retry_at = time.monotonic() + RETRY_SECONDS
            return None
        # The former mapping is left to the garbage collector: a forked child may be using its copy. It has a successor: were this
        # interrupted, and the disk full, it must not be opened again.
        self._slot = self._new(bytearray(0), 0, 0)
        self._size = len(fresh)
        self._number += 1
        return self._new(fresh, len(MAGIC), self._size - RESERVE)

    def _successor(self) -> Path:
        return segment_path(self.directory, self.process_uuid, self.lane, self._number + 1)

    def _fresh(self) -> mmap.mmap:
        """The next segment, begun. Raises OSError.

        It takes its name when it is whole: a reader that saw it, and a disk too full for it, would leave the former one too early.
        """
        while (path := self._successor()).exists():
            self._slot = self._new(bytearray(0), 0, 0)  # an interrupt came right behind its making: it is the successor
            with path.open("r+b") as begun:  # where it is empty a reader would wait for its beginning
                begun.write(MAGIC)
            self._number += 1
        unfinished = path.with_suffix(UNFINISHED)
        unfinished.unlink(missing_ok=True)
        fd = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                found = mmap.mmap(fd, self._allocate(fd))
            finally:
                os.close(fd)  # before it has its name: on a network this is where a full disk may be told
            found[: len(MAGIC)] = MAGIC
            unfinished.rename(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return found

    def _allocate(self, fd: int) -> int:
        """Take blocks for a segment; their bytes. Raises OSError.

        Now: writing to the mapping of a file with holes would be SIGBUS on a full disk.
        """
        try:
            os.posix_fallocate(fd, 0, self.segment_bytes)
            return self.segment_bytes
        except OSError as wrong:
            if self._number >= 0:  # there is one, in which room is kept for the end
                raise
            os.ftruncate(fd, 0)  # a file system may keep what it had taken
            os.posix_fallocate(fd, 0, SHORT_BYTES)
            self.error, self.short = str(wrong), True
            return SHORT_BYTES

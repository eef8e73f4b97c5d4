"""The spool: events in memory-mapped, preallocated segment files, written by one process and read by another.

An event is in the page cache when `Writer.append` returns, so killing the process loses nothing of it.

    DIR/<process_uuid>.<lane>-<n>.spool      n from 0; a lane has one writer: "job", "tee<k>", "fork<pid>"

    segment  = b"TWSPOOL1"  record*  zero*
    record   = length: u32   crc32 of body: u32   body
    body     = time_ns: i64   kind: u8   payload                     (little-endian; length is that of the body)
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

MAGIC = b"TWSPOOL1"
FRAME = struct.Struct("<II")
BODY = struct.Struct("<qB")

# Kinds of record. EVENT, START, STOP and CRASH: an Event without its time. NOTE: one that finds room on a full disk.
# LINE: level (one byte) and text of a log line, which the job need not encode. STDOUT, STDERR: raw bytes of a stream.
# END: the job will write no more to its lane.
EVENT, START, STOP, CRASH, STDOUT, STDERR, END, NOTE, LINE = 1, 2, 3, 4, 5, 6, 7, 8, 9
URGENT = frozenset((START, STOP, CRASH, END, NOTE))

SEGMENT_BYTES = 8 << 20
RESERVE = 32 << 10  # of a segment, for the events that tell how the job ended, when the disk is full
SHORT_BYTES = 128 << 10  # of a lane's first segment where the disk has no room for a whole one
LARGEST = 900 << 10  # body of a record; a batch must stay below Kafka's 1 MiB
RETRY_SECONDS = 1.0  # after a failed allocation
DEFERRED = 1000  # records of signal handlers and finalizers that one append keeps back, at most
UNFINISHED = ".new"  # ends the name of a segment that is being made


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


def segment_path(directory: Path, process_uuid: str, lane: str, number: int) -> Path:
    """The file of a lane's segment, numbered from 0."""
    return directory / f"{process_uuid}.{lane}-{number:06d}.spool"


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


class Position(NamedTuple):
    """Of a lane: the next record is at `offset` of segment `number`."""

    number: int
    offset: int


END_OF_LANE = Position(1 << 62, 0)


class Record(NamedTuple):
    """What the job wrote at a time. time_ns: Unix nanoseconds; kind: one of the numbers above, which says what the payload is."""

    time_ns: int
    kind: int
    payload: bytes
    after: Position  # where the next record of the lane begins


class Reader:
    """Reads one lane from a position, while it is written or after its writer died. One thread.

    corrupt: records that were damaged in the file, each with what stood behind it in the segment; and segments that are gone.
    """

    def __init__(self, directory: Path, process_uuid: str, lane: str, position: Position | None = None) -> None:
        self.directory, self.process_uuid, self.lane = directory, process_uuid, lane
        self.position = position or Position(0, 0)
        self.corrupt = 0
        self._fd = -1

    def _path(self, number: int) -> Path:
        return segment_path(self.directory, self.process_uuid, self.lane, number)

    def _open(self) -> bool:
        if self._fd >= 0:
            return True
        try:
            fd = os.open(self._path(self.position.number), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return self._passed_over()
        if os.pread(fd, len(MAGIC), 0) != MAGIC:  # made this instant, and not begun
            os.close(fd)
            return False
        self._fd = fd
        if self.position.offset < len(MAGIC):
            self.position = Position(self.position.number, len(MAGIC))
        return True

    def _passed_over(self) -> bool:
        """A segment that is not there is not waited for where a later one is: somebody has deleted it."""
        pattern = f"{self.process_uuid}.{self.lane}-*.spool"
        words = [path.stem.rsplit("-", 1)[1] for path in self.directory.glob(pattern)]
        later = min((int(word) for word in words if word.isdecimal() and int(word) > self.position.number), default=0)
        if not later or self._path(self.position.number).exists():  # made this instant
            return False
        self.corrupt += 1
        self.position = Position(later, 0)
        return self._open()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self, limit: int = 256 << 10) -> Iterator[Record]:
        """Records that are there now, about `limit` bytes of them. `self.position` moves with each."""
        taken = 0
        while taken < limit and self._open():
            number, offset = self.position
            # Look for a successor before reading: if there is one, this segment does not grow any more.
            finished = self._path(number + 1).exists()
            length = FRAME.unpack(os.pread(self._fd, FRAME.size, offset).ljust(FRAME.size, b"\0"))[0]
            plausible = BODY.size <= length <= LARGEST + BODY.size
            block = os.pread(self._fd, max(limit, FRAME.size + length), offset) if plausible else b""
            at = 0
            while at + FRAME.size <= len(block):
                length, crc = FRAME.unpack_from(block, at)
                body = block[at + FRAME.size : at + FRAME.size + length]
                if length < BODY.size or len(body) < length or crc32(body) != crc:
                    break
                at += FRAME.size + length
                time_ns, kind = BODY.unpack_from(body)
                self.position = Position(number, offset + at)
                taken += length
                yield Record(time_ns, kind, body[BODY.size :], self.position)
            if not at:
                if not finished:  # nothing more yet, or the last append of a writer that was killed inside it
                    return
                self.corrupt += length != 0
                self.close()
                self.position = Position(number + 1, len(MAGIC))

    def unread(self, record: Record) -> None:
        """Give back the last record that `read` yielded: it is the next again."""
        number, behind = record.after
        self.position = Position(number, behind - FRAME.size - BODY.size - len(record.payload))


def fork_pid(lane: str) -> int:
    """The forked child that writes to a lane; 0 where it is a lane of the job itself."""
    number = lane[4:].partition("x")[0]
    return int(number) if lane.startswith("fork") and number.isdecimal() else 0


def lanes(directory: Path, process_uuid: str) -> list[str]:
    """Lanes that have a segment, in the order in which they are to be read."""
    found = {path.name.split(".", 1)[1].rsplit("-", 1)[0] for path in directory.glob(f"{process_uuid}.*-*.spool")}
    return sorted(found, key=order)


def order(lane: str) -> tuple[bool, bool, int, str]:
    """For sorting: tee, tee1, ..., job, forks. A stream goes through one shipper after the other, and then the job."""
    return not lane.startswith("tee"), lane != "job", len(lane), lane


def delete_before(directory: Path, process_uuid: str, lane: str, position: Position) -> None:
    """Remove the segments of a lane that are read to their end."""
    for path in directory.glob(f"{process_uuid}.{lane}-*.spool"):
        if int(path.name.rsplit("-", 1)[1].removesuffix(".spool")) < position.number:
            path.unlink(missing_ok=True)
    if position == END_OF_LANE:
        for path in directory.glob(f"{process_uuid}.{lane}-*{UNFINISHED}"):  # its writer was killed over it
            path.unlink(missing_ok=True)

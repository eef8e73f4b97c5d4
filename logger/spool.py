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
LARGEST = 900 << 10  # body of a record; a batch must stay below Kafka's 1 MiB
RETRY_SECONDS = 1.0  # after a failed allocation


def segment_path(directory: Path, process_uuid: str, lane: str, number: int) -> Path:
    return directory / f"{process_uuid}.{lane}-{number:06d}.spool"


class Writer:
    """Appends to one lane. Thread-safe; never raises; what could not be written is counted in `lost`."""

    def __init__(self, directory: Path, process_uuid: str, lane: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.directory, self.process_uuid, self.lane = directory, process_uuid, lane
        self.segment_bytes = max(segment_bytes, 2 * LARGEST)
        self.lost = 0
        self.error = ""  # the last reason for a loss
        self._number = -1
        self._map: mmap.mmap | None = None
        self._at = 0
        self._usable = 0
        self._retry_at = 0.0
        # Re-entrant, because a signal handler or a finalizer may log while this thread is inside append.
        self._lock = threading.RLock()
        self._busy = False
        self._deferred: deque[tuple[int, bytes, int]] = deque(maxlen=1000)

    def append(self, kind: int, payload: bytes, time_ns: int) -> bool:
        """Whether the record was written. Does not block but for other threads that are inside."""
        with self._lock:
            if self._busy:
                self._deferred.append((kind, payload, time_ns))
                return True
            frame = b""
            self._busy = True
            try:
                body = BODY.pack(time_ns, kind) + payload
                frame = FRAME.pack(len(body), crc32(body)) + body
                end = self._at + len(frame)
                if end > self._usable:
                    if not self._room(len(frame), kind):
                        self.lost += 1
                        return False
                    end = self._at + len(frame)
                # One memcpy under the interpreter lock: no other thread, no signal handler gets between.
                self._map[self._at : end] = frame  # type: ignore[index]
                self._at = end
            except BaseException:
                self._interrupted(frame)
                raise
            finally:
                self._busy = False
        if self._deferred:
            self._append_deferred()
        return True

    def _interrupted(self, frame: bytes) -> None:
        """A KeyboardInterrupt may come right behind the copy: then the record stands, and the next goes behind it."""
        if frame and self._map is not None and self._map[self._at : self._at + len(frame)] == frame:
            self._at += len(frame)

    def _append_deferred(self) -> None:
        """What a signal handler or a finalizer of this thread logged meanwhile."""
        while self._deferred:
            try:
                record = self._deferred.popleft()
            except IndexError:  # another thread took it
                return
            self.append(*record)

    def _room(self, size: int, kind: int) -> bool:
        """Make room for a frame; afterwards it fits at self._at."""
        if size > LARGEST + FRAME.size:
            self.error = f"an event of {size} bytes; {LARGEST} is the most"
            return False
        if time.monotonic() >= self._retry_at and self._rotate():
            return True
        return kind in URGENT and self._map is not None and self._at + size <= len(self._map)

    def _rotate(self) -> bool:
        path = segment_path(self.directory, self.process_uuid, self.lane, self._number + 1)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                # Blocks are taken here: writing to the mapping of a file with holes would be SIGBUS on a full disk.
                os.posix_fallocate(fd, 0, self.segment_bytes)
                fresh = mmap.mmap(fd, self.segment_bytes)
            except BaseException:
                os.unlink(path)
                raise
            finally:
                os.close(fd)
        except (OSError, ValueError) as wrong:
            self.error = str(wrong)
            self._retry_at = time.monotonic() + RETRY_SECONDS
            return False
        fresh[: len(MAGIC)] = MAGIC
        # The former mapping is left to the garbage collector: a forked child may be using its copy.
        self._map, self._number, self._at = fresh, self._number + 1, len(MAGIC)
        self._usable = self.segment_bytes - RESERVE
        return True


class Position(NamedTuple):
    """Of a lane: the next record is at `offset` of segment `number`."""

    number: int
    offset: int


END_OF_LANE = Position(1 << 62, 0)


class Record(NamedTuple):
    time_ns: int
    kind: int
    payload: bytes
    after: Position  # where the next record of the lane begins


class Reader:
    """Reads one lane from a position, while it is written or after its writer died. One thread.

    corrupt: records that were damaged in the file, each with what stood behind it in the segment.
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
            return False
        if os.pread(fd, len(MAGIC), 0) != MAGIC:  # made this instant, and not begun
            os.close(fd)
            return False
        self._fd = fd
        if self.position.offset < len(MAGIC):
            self.position = Position(self.position.number, len(MAGIC))
        return True

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

"""The spool: events in preallocated segment files, written by one process (spool_writer.py) and read by another.

DIR/<process_uuid>.<lane>-<n>.spool      n from 0; a lane has one writer: "job", "tee<k>", "fork<pid>"

segment  = b"TWSPOOL1"  record*  zero*
record   = length: u32   crc32 of body: u32   body
body     = time_ns: i64   kind: u8   payload                     (little-endian; length is that of the body)
"""

from __future__ import annotations

import os
import struct
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

LARGEST = 900 << 10  # body of a record; a batch must stay below Kafka's 1 MiB
UNFINISHED = ".new"  # ends the name of a segment that is being made


def segment_path(directory: Path, process_uuid: str, lane: str, number: int) -> Path:
    """The file of a lane's segment, numbered from 0."""
    return directory / f"{process_uuid}.{lane}-{number:06d}.spool"


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

    corrupt: records that were damaged in the file, each with what stood behind it in the segment; segments whose beginning is,
    and segments that are gone.
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
        magic = os.pread(fd, len(MAGIC), 0)
        if not magic.strip(b"\0"):  # made this instant, and not begun
            os.close(fd)
            return False
        self._fd = fd
        if self.position.offset < len(MAGIC):
            self.corrupt += (
                magic != MAGIC
            )  # somebody has written over it; records behind that have checksums of their own
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

"""The outbox: every batch of a process, written before it is sent, in files that only grow.

    DIR/<process_uuid>-<n>.outbox     n from 0
    DIR/<process_uuid>.acked          JSON: batches before `acked` are in the broker

    file    = b"TWOUTBX1"  record*
    record  = b"TWRB"  state length: u32  batch length: u32  sequence: u64  created_ns: i64  crc32 of these: u32
              state  batch  crc32 of state and batch: u32                                     (little-endian)

`batch` is a serialized TelemetryBatch. `state` is JSON for the cutter alone: up to where the spool was read for this
batch. Both are written in one call, so that cutting goes on exactly where it was, whoever is killed.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zlib import crc32

from tracewinnow.schemas.errors import BadInput

MAGIC = b"TWOUTBX1"
RECORD_MAGIC = b"TWRB"
HEAD = struct.Struct("<4sIIQq")
CRC = struct.Struct("<I")
HEAD_BYTES = HEAD.size + CRC.size
LARGEST_STATE = 4 << 20
LARGEST_BATCH = 1_000_000  # bytes; Kafka's default for a message is 1,048,588 with everything
SEGMENT_BYTES = 64 << 20
SECTOR = 512  # bytes, of which a disk writes all or none


class Entry(NamedTuple):
    """A record of an outbox: a batch with its name, and what the cutter knew behind it."""

    sequence: int
    created_ns: int
    state: bytes
    batch: bytes
    end: int  # offset behind the record


def is_outbox(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins as an outbox does. Raises OSError where it cannot be read."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The batches of one file, as serialized TelemetryBatch, in sequence.

    A record that is not complete at the end (a process was killed while writing it, or a power loss has left zeros in its place)
    ends the file quietly.
    Raises BadInput ("not-an-outbox", "corrupt-outbox") and OSError.
    """
    with open(path, "rb") as file:
        for entry in entries(file):
            yield entry.batch


def entries(file: BinaryIO, offset: int = 0) -> Iterator[Entry]:
    """The records from an offset on; 0 is the beginning. Errors as `read`."""
    name = getattr(file, "name", "outbox")
    if offset < len(MAGIC):
        file.seek(0)
        magic = file.read(len(MAGIC))
        if not MAGIC.startswith(magic):
            if _never_written(file, 0, len(MAGIC)):
                return
            raise BadInput("not-an-outbox", f"{name} does not begin as an outbox of tracewinnow.logger does")
        offset = len(MAGIC)
    file.seek(offset)
    while len(head := file.read(HEAD_BYTES)) == HEAD_BYTES:
        magic, state_size, batch_size, sequence, created_ns = HEAD.unpack_from(head)
        sound = magic == RECORD_MAGIC and CRC.unpack_from(head, HEAD.size)[0] == crc32(head[: HEAD.size])
        if not sound or state_size > LARGEST_STATE or batch_size > LARGEST_BATCH:
            if _never_written(file, offset, HEAD_BYTES):
                return
            raise BadInput("corrupt-outbox", f"{name}: the record at byte {offset} is damaged")
        body = file.read(state_size + batch_size + CRC.size)
        if len(body) < state_size + batch_size + CRC.size:
            return
        if crc32(memoryview(body)[: -CRC.size]) != CRC.unpack_from(body, len(body) - CRC.size)[0]:
            if _never_written(file, offset, HEAD_BYTES + len(body)):
                return
            raise BadInput("corrupt-outbox", f"{name}: the record at byte {offset} (batch {sequence}) is damaged")
        offset += HEAD_BYTES + len(body)
        yield Entry(sequence, created_ns, body[:state_size], body[state_size : -CRC.size], offset)


def _never_written(file: BinaryIO, offset: int, size: int) -> bool:
    """Whether a record that is damaged is what a power loss leaves of a file's last: the file system knows how long the file is,
    and there are zeros for the sectors, or the whole record, that the disk had not got. Anything else is damage, and is told."""
    file.seek(offset)
    record = file.read(size)
    while rest := file.read(1 << 20):
        if rest.strip(b"\0"):
            return False
    last_sector = record[-((offset + size) % SECTOR or SECTOR) :]
    first = -offset % SECTOR  # of the record's bytes that begins a sector
    sectors = (record[at : at + SECTOR] for at in range(first, len(record) - SECTOR + 1, SECTOR))
    return not last_sector.strip(b"\0") or any(not sector.strip(b"\0") for sector in sectors)


def files(directory: Path, process_uuid: str) -> list[Path]:
    """The outbox files of a process in sequence."""
    return sorted(directory.glob(f"{process_uuid}-*.outbox"))


def last(directory: Path, process_uuid: str) -> Entry | None:
    """The last whole record of a process. Raises BadInput and OSError."""
    for path in reversed(files(directory, process_uuid)):
        found = None
        with open(path, "rb") as file:
            for found in entries(file):  # noqa: B007
                pass
        if found is not None:
            return found
    return None


class Outbox:
    """Appends batches of one process. One writer, guarded by the caller's lock on the process.

    last: the last record that was there when it was opened, or None. What stands incomplete behind it is cut off.
    """

    def __init__(self, directory: Path, process_uuid: str) -> None:
        self.directory, self.process_uuid = directory, process_uuid
        paths, self.last = files(directory, process_uuid), last(directory, process_uuid)
        self._number = int(paths[-1].name.rsplit("-", 1)[1].removesuffix(".outbox")) if paths else 0
        self._file: BinaryIO | None = None
        self._size = 0

    def append(self, sequence: int, created_ns: int, state: bytes, batch: bytes) -> None:
        """In the page cache when it returns. Raises OSError when it cannot be written; the file is as it was before.

        Raises BadInput ("batch-too-large") for what no reader would take.
        """
        if len(batch) > LARGEST_BATCH or len(state) > LARGEST_STATE:
            sizes = f"{len(batch)} bytes and a state of {len(state)}; {LARGEST_BATCH} and {LARGEST_STATE} are the most"
            raise BadInput("batch-too-large", f"batch {sequence} of {self.process_uuid} has {sizes}")
        head = HEAD.pack(RECORD_MAGIC, len(state), len(batch), sequence, created_ns)
        body = state + batch
        record = b"".join((head, CRC.pack(crc32(head)), body, CRC.pack(crc32(body))))
        file = self._open()
        if not os.fstat(file.fileno()).st_nlink:
            self.close()  # the next goes into a new file, where that can be made
            raise FileNotFoundError(errno.ENOENT, "its file was deleted")
        try:
            written = 0
            while written < len(record):
                written += os.write(file.fileno(), memoryview(record)[written:])
        except OSError:
            os.ftruncate(file.fileno(), self._size)
            raise
        self._size += len(record)

    def _open(self) -> BinaryIO:
        if self._file is not None and self._size >= SEGMENT_BYTES:
            self.close()
            self._number += 1
        if self._file is None:
            path = self.directory / f"{self.process_uuid}-{self._number:06d}.outbox"
            file = open(  # noqa: SIM115 - kept open
                os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "r+b", buffering=0
            )
            try:
                size = len(MAGIC) if os.pread(file.fileno(), len(MAGIC), 0) == MAGIC else 0
                for entry in entries(file):
                    size = entry.end
                os.ftruncate(file.fileno(), size)
                if not size:
                    size = os.write(file.fileno(), MAGIC)
            except BaseException:
                file.close()
                raise
            self._file, self._size = file, size
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Tail:
    """Reads the records of a process in sequence from a given one on, while they are written."""

    def __init__(self, directory: Path, process_uuid: str, sequence: int) -> None:
        self.directory, self.process_uuid, self.sequence = directory, process_uuid, sequence
        self._path: Path | None = None
        self._offset = 0

    def read(self, count: int) -> list[Entry]:
        """Up to `count` records that are there now. Raises BadInput and OSError."""
        found: list[Entry] = []
        while len(found) < count:
            if self._path is None:
                following = files(self.directory, self.process_uuid)
                if not following:
                    return found
                self._path = following[0]
            before = len(found)
            following = [path for path in files(self.directory, self.process_uuid) if path > self._path]
            try:
                file = open(self._path, "rb")  # noqa: SIM115 - closed below
            except FileNotFoundError:  # `expire` took it
                self._path, self._offset = None, 0
                continue
            with file:
                for entry in entries(file, self._offset):
                    self._offset = entry.end
                    if entry.sequence >= self.sequence:
                        found.append(entry)
                        self.sequence = entry.sequence + 1
                        if len(found) == count:
                            return found
            if len(found) == before:
                if not following:
                    return found
                self._path, self._offset = following[0], 0
        return found


def expire(directory: Path, process_uuid: str, acked: int, before: float) -> int:
    """Delete files, but the last, that were acknowledged whole and last written before that Unix time; how many."""
    paths, deleted = files(directory, process_uuid), 0
    for path, following in itertools.pairwise(paths):
        with open(following, "rb") as file:
            first = next(entries(file), None)
        if first is None or first.sequence > acked or path.stat().st_mtime >= before:
            break
        path.unlink(missing_ok=True)
        deleted += 1
    return deleted


def load_acked(directory: Path, process_uuid: str) -> int:
    """Batches before this sequence are in the broker; 0 where nothing is known."""
    try:
        with open(directory / f"{process_uuid}.acked", "rb") as file:
            return max(0, int(json.loads(file.read(4096))["acked"]))
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def save_acked(directory: Path, process_uuid: str, acked: int) -> None:
    """Atomic. Raises OSError."""
    replace_json(directory / f"{process_uuid}.acked", {"acked": acked, "time_ns": time.time_ns()})


def replace_json(path: Path, content: dict[str, Any]) -> None:
    """Write a small file so that a reader finds the old or the new one, whole. Raises OSError."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            json.dump(content, file)
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise

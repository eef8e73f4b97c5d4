"""Files as a source: which ones, how they are opened, and how they are cut into tasks that can be done apart."""

from __future__ import annotations

import codecs
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, NamedTuple, cast

from tracewinnow import packed
from tracewinnow.packed import PACKED
from tracewinnow.schemas.errors import BadInput, BadUse
from tracewinnow.transforms.pieces import is_binary

RANGE_BYTES = 64 << 20  # of a plain file in one task
HEAD_BYTES = 4096  # what tells one file from another that takes its place
PARQUET = b"PAR1"
WHOLE = (*PACKED, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # how files begin that are read whole or not at all
STAMP = re.compile(rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)")


DAMAGE = (*packed.DAMAGE, OSError, ValueError)


class Task(NamedTuple):
    """A range of bytes [start, stop) of a file; a line belongs to the range in which it begins.

    kind: "plain", "json", "parquet" or "outbox". cut: whether stop counts; only lines that are not packed are cut. base_ns: time of
    what carries none itself. head: SHA-256 of how the file begins.
    """

    path: str
    kind: str
    job_id: str
    start: int
    stop: int
    base_ns: int
    head: str
    cut: bool

    @property
    def process_uuid(self) -> str:
        """Names the range as a sender: the same file gives the same batches again, and one that has grown others."""
        name = "\0".join((self.job_id, self.path, self.head, str(self.start), str(self.stop)))
        return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def find(paths: Iterable[str]) -> list[Path]:
    """The files named, and those below the folders named, sorted. Raises BadUse for a name that is not there."""
    found: set[Path] = set()
    for name in paths:
        path = Path(name)
        if path.is_dir():
            found.update(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        elif path.exists():
            found.add(path)
        else:
            raise BadUse(f"there is no file or folder {name}")
    return sorted(found)


def outside(found: Iterable[Path], given: Iterable[str], warehouse: str) -> list[Path]:
    """The files that are not in the warehouse: what it holds are results, not logs.

    Raises BadUse where a path that was given is the warehouse or in it.
    """
    place = warehouse.removeprefix("file://")
    folder = Path(place).resolve()
    if "://" in place or not folder.is_dir():
        return list(found)
    for name in given:
        path = Path(name).resolve()
        if path == folder:
            raise BadUse(f"{name} is the warehouse itself: give logs, or another warehouse")
        if folder in path.parents:
            raise BadUse(f"{name} is in the warehouse {warehouse}: give logs that are not, or another warehouse")
    return [path for path in found if folder not in path.resolve().parents]


def open_plain(path: str) -> io.BufferedReader:
    """A file, decompressed where gzip, zstandard, xz or bzip2 packed it (by its first bytes, whatever its name). Raises OSError."""
    file = open(path, "rb")  # noqa: SIM115 - the caller closes it
    magic = file.read(4)
    file.seek(0)
    found = packed.unpacked(file, magic)
    return found if isinstance(found, io.BufferedReader) else io.BufferedReader(_Eager(found), 1 << 16)


class _Eager(io.RawIOBase):
    """Gives what is unpacked as it comes: to fill a buffer would lose what stands in it already where damaged data follow."""

    def __init__(self, source: IO[bytes]) -> None:
        self.source = cast(io.BufferedIOBase, source)

    def readable(self) -> bool:
        return True

    def readinto(self, target: object) -> int:
        view = memoryview(target).cast("B")  # type: ignore[arg-type]
        found = self.source.read1(len(view))
        view[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self.source.close()
        super().close()


def beginning(path: str, size: int) -> bytes:
    """Up to `size` bytes of what a file holds, unpacked; of a damaged one what stands before the damage.

    Raises OSError, and BadInput where that is nothing.
    """
    found = b""
    with open_plain(path) as file:
        try:
            while len(found) < size and (more := file.read1(size - len(found))):
                found += more
        except DAMAGE as damaged:
            if not found:
                raise BadInput("damaged-file", f"{path} cannot be decompressed: {damaged}") from damaged
    return found


def kind_of(path: str) -> str:
    """What a file holds, by its content. Raises OSError, and BadInput for a compressed file of which nothing can be read."""
    from tracewinnow.logger import outbox

    if outbox.is_outbox(Path(path)):
        return "outbox"
    head = beginning(path, HEAD_BYTES)
    if head[:4] == PARQUET:
        return "parquet"
    return "json" if head.lstrip()[:1] == b"{" and b'"' in head else "plain"


def without_content(path: Path) -> bool:
    """Whether a file is empty, or an outbox that no batch was put into yet. Raises OSError."""
    from tracewinnow.logger import outbox

    size = path.stat().st_size
    return size == 0 or (size == len(outbox.MAGIC) and outbox.is_outbox(path))


def tasks(path: Path, job_id: str | None, done: int = 0, base_ns: int | None = None) -> Iterator[Task]:
    """The tasks of one file from byte `done` on. job_id None: the file's name without endings names the job.

    Raises OSError, and BadInput for what is damaged or no text.
    """
    resolved = str(path.resolve())
    kind = kind_of(resolved)
    size = path.stat().st_size
    if without_content(path):
        return
    head = beginning(resolved, 1 << 16)
    if kind == "plain" and is_binary(head[:HEAD_BYTES]):
        raise BadInput("binary-file", f"{path} holds binary data, not text")
    base = base_ns if base_ns is not None else first_time(head) or path.stat().st_mtime_ns
    job = job_id or path.name.split(".")[0] or path.name
    digest = head_of(path, size)
    if kind not in ("plain", "json") or _magic(path, size).startswith(WHOLE):
        if done < size:
            yield Task(resolved, kind, job, 0, size, base, digest, False)
        return
    # A row of JSON without a time has that of the row before it, so they are read one after the other.
    step = RANGE_BYTES if kind == "plain" else max(1, size - done)
    for start in range(done, size, step):
        yield Task(resolved, kind, job, start, min(size, start + step), base, digest, True)


def _magic(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(min(HEAD_BYTES, size))


def head_of(path: Path, size: int) -> str:
    """SHA-256 of how a file of `size` bytes begins: a file that has grown keeps it, another in its place does not."""
    return hashlib.sha256(_magic(path, size)).hexdigest()


def whole_lines(path: str, stop: int) -> int:
    """Where the last line begins that has no end before byte `stop`; `stop` where every line has one."""
    with open(path, "rb") as file:
        end = stop
        while end > 0:
            start = max(0, end - HEAD_BYTES)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def first_time(head: bytes) -> int | None:
    """The first date and time that stands in a text, taken for UTC, in Unix nanoseconds; None where there is none."""
    for found in STAMP.finditer(head):
        try:
            moment = datetime(*(int(part) for part in found.groups()), tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
        except ValueError:
            continue
        if 2000 < moment.year < 2100:
            return int(moment.timestamp()) * 1_000_000_000
    return None


def lines(task: Task, piece: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of a plain task, without line ends; a line longer than `piece` bytes comes in pieces.

    UTF-16 with a byte order mark is turned to UTF-8. Raises BadInput when compressed data is damaged.
    """
    offset = task.start
    cut = task.stop if task.cut else None
    with open_plain(task.path) as file:
        try:
            source = file if task.start else _utf8(file)
            if task.start > 0:
                # The line that began before this range belongs to the one before it.
                file.seek(task.start - 1)
                offset -= 1
                while rest := file.readline(piece):
                    offset += len(rest)
                    if rest.endswith(b"\n"):
                        break
            begins = offset
            while cut is None or begins < cut:
                line = source.readline(piece)
                if not line:
                    return
                if line != b"\n" or begins == offset:  # else the end of a line that came in pieces
                    yield offset, line[:-1].removesuffix(b"\r") if line.endswith(b"\n") else line
                offset += len(line)
                if line.endswith(b"\n"):
                    begins = offset
        except DAMAGE as damaged:
            raise BadInput("damaged-file", f"{task.path} is damaged near byte {offset}: {damaged}") from damaged


def _utf8(file: io.BufferedReader) -> io.BufferedReader:
    """The file itself, or its text as UTF-8 where it begins with the mark of UTF-16."""
    mark = file.peek(2)[:2]
    if mark not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return file
    file.read(2)
    return io.BufferedReader(_Transcoded(file, "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"))


class _Transcoded(io.RawIOBase):
    """Reads a file of another encoding as UTF-8."""

    def __init__(self, file: io.BufferedReader, encoding: str) -> None:
        self.file = file
        self.decoder = codecs.getincrementaldecoder(encoding)("replace")
        self.ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, target: object) -> int:
        view = memoryview(target).cast("B")  # type: ignore[arg-type]
        while not self.ready:
            raw = self.file.read1(1 << 16)  # not more than there is before damage
            self.ready = self.decoder.decode(raw, final=not raw).encode("utf-8", "surrogatepass")
            if not raw:
                break
        count = min(len(view), len(self.ready))
        view[:count], self.ready = self.ready[:count], self.ready[count:]
        return count

"""Files as a source: which ones, how they are opened, and how they are cut into tasks that can be done apart."""

from __future__ import annotations

import codecs
import hashlib
import re
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from tracewinnow.packed import PACKED
from tracewinnow.pipelines.file_text import beginning
from tracewinnow.schemas.errors import BadInput, BadUse
from tracewinnow.schemas.validate import CONTROL, in_time
from tracewinnow.transforms.pieces import is_binary

RANGE_BYTES = 64 << 20  # of a plain file in one task
HEAD_BYTES = 4096  # what tells one file from another that takes its place
PARQUET = b"PAR1"
WHOLE = (*PACKED, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # how files begin that are read whole or not at all
STAMP = re.compile(rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)")


class Task(NamedTuple):
    """A range of bytes [start, stop) of a file; a line belongs to the range in which it begins.

    kind: "plain", "json", "parquet" or "outbox". cut: whether stop and end count; only lines that are not packed are cut. end: how
    long the file was when the task was planned; what was written to it since is left to another task, so that the same task gives
    the same lines whenever it is read. base_ns: time of what carries none itself. run: which of the files that stood at the path
    one after the other; of the first SHA-256 of how it began.
    """

    path: str
    kind: str
    job_id: str
    start: int
    stop: int
    base_ns: int
    run: str
    cut: bool
    end: int

    def process_uuid(self, job_id: str, rank: int | None = None) -> str:
        """Names what the range says of a job, or of one rank of it, as a sender: the same range gives the same batches again."""
        parts = (job_id, self.path, self.run, str(self.start), str(self.stop))
        name = "\0".join(parts if rank is None else (*parts, str(rank)))
        return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def printable(name: str) -> str:
    """A name of a file as protobuf takes it and a shell prints it: a byte that is not UTF-8 becomes \\xNN."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def job_named(path: Path) -> str:
    """The job that a file's name without endings names; a job may have no control characters."""
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", printable(path.name.split(".")[0] or path.name))


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


def tasks(
    path: Path, job_id: str | None, done: int = 0, base_ns: int | None = None, run: str | None = None
) -> Iterator[Task]:
    """The tasks of one file from byte `done` on. job_id None: the file's name names the job. run: of a file that was read before.

    Raises OSError, and BadInput for what is damaged or no text.
    """
    resolved = str(path.resolve())
    kind = kind_of(resolved)
    stat = path.stat()
    size = stat.st_size
    if without_content(path):
        return
    head = beginning(resolved, 1 << 16)
    if kind == "plain" and is_binary(head[:HEAD_BYTES]):
        raise BadInput("binary-file", f"{path} holds binary data, not text")
    if base_ns is None:
        base_ns = base_time(head, size, stat.st_mtime_ns, time.time_ns())
    job = printable(job_id) if job_id else job_named(path)
    name = run or head_of(path, size)
    if kind not in ("plain", "json") or _magic(path, size).startswith(WHOLE):
        if done < size:
            yield Task(resolved, kind, job, 0, size, base_ns, name, False, size)
        return
    # A row of JSON without a time has that of the row before it, so they are read one after the other.
    step = RANGE_BYTES if kind == "plain" else max(1, size - done)
    for start in range(done, size, step):
        yield Task(resolved, kind, job, start, min(size, start + step), base_ns, name, True, size)


def _magic(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(min(HEAD_BYTES, size))


def head_of(path: Path, size: int) -> str:
    """SHA-256 of how a file of `size` bytes begins: a file that has grown keeps it, another in its place does not."""
    return hashlib.sha256(_magic(path, size)).hexdigest()


def tail_of(path: Path, size: int) -> str:
    """SHA-256 of what stands before byte `size`: another file may well begin alike, but it does not go on alike."""
    with path.open("rb") as file:
        file.seek(max(0, size - HEAD_BYTES))
        return hashlib.sha256(file.read(min(HEAD_BYTES, size))).hexdigest()


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


def base_time(head: bytes, size: int, mtime_ns: int, now_ns: int) -> int:
    """Unix nanoseconds for what has no time of its own: the first that stands in the head of a file, else its mtime, else now.

    A time before 2000 or after now is passed over, for what has it is refused: of a licence, or of a clock in another time zone.
    size: of the file; a line's time is the base and its offset.
    """
    for time_ns in (first_time(head, size, now_ns), mtime_ns):
        if time_ns is not None and in_time(time_ns, time_ns + size, now_ns):
            return time_ns
    return now_ns


def first_time(head: bytes, size: int, now_ns: int) -> int | None:
    """The first date and time in a text, taken for UTC, in Unix nanoseconds, that may be one of its lines; None for none."""
    for found in STAMP.finditer(head):
        try:
            moment = datetime(*(int(part) for part in found.groups()), tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
        except ValueError:
            continue
        time_ns = int(moment.timestamp()) * 1_000_000_000
        if moment.year > 2000 and in_time(time_ns, time_ns + size, now_ns):
            return time_ns
    return None

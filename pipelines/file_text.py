"""What a file says: its lines, whatever packed or encoded them, up to a byte that is given."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import IO, cast

from tracewinnow import packed
from tracewinnow.schemas.errors import BadInput

DAMAGE = (*packed.DAMAGE, OSError, ValueError)


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


def lines(
    path: str, piece: int, start: int = 0, stop: int | None = None, end: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of the lines that begin in [start, stop), without line ends; one longer than `piece` bytes comes in pieces.

    end: no byte from there on is read, whatever a writer has added since. UTF-16 with a byte order mark is turned to UTF-8.
    Raises OSError where the file cannot be opened, and BadInput when what is in it is damaged.
    """
    offset = start
    with open_plain(path) as file:
        try:
            source = file if start else _utf8(file)
            if start > 0:
                # The line that began before this range belongs to the one before it.
                file.seek(start - 1)
                offset -= 1
                while rest := file.readline(_allowed(piece, offset, end)):
                    offset += len(rest)
                    if rest.endswith(b"\n"):
                        break
            begins = offset
            while stop is None or begins < stop:
                line = source.readline(_allowed(piece, offset, end))
                if not line:
                    return
                if line != b"\n" or begins == offset:  # else the end of a line that came in pieces
                    yield offset, line[:-1].removesuffix(b"\r") if line.endswith(b"\n") else line
                offset += len(line)
                if line.endswith(b"\n"):
                    begins = offset
        except DAMAGE as damaged:
            raise BadInput("damaged-file", f"{path} is damaged near byte {offset}: {damaged}") from damaged


def lines_before(path: str, end: int, block: int = 1 << 16) -> Iterator[bytes]:
    """The lines before byte `end` of a file that is not packed, without line ends, the last one first.

    Of a line of more than 16 blocks only a part comes.
    """
    rest = b""
    with open(path, "rb") as file:
        while end > 0:
            start = max(0, end - block)
            file.seek(start)
            rest, *found = (file.read(end - start) + rest[: 16 * block]).split(b"\n")
            yield from reversed(found)
            end = start
    yield rest


def _allowed(piece: int, offset: int, end: int | None) -> int:
    return piece if end is None else max(0, min(piece, end - offset))


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

"""Packed files, known by their first bytes: what gzip, zstandard, xz or bzip2 packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Generator
from typing import IO, Any, cast

GZIP, ZSTANDARD, XZ, BZIP2 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zX", b"BZh"
PACKED = (GZIP, ZSTANDARD, XZ, BZIP2)  # how such files begin
SKIPPABLE = b"\x2a\x4d\x18"  # behind a byte from 0x50 to 0x5f: a frame of zstandard without content


# What reading damaged data raises, apart from an OSError without a number: those with one have other reasons.
DAMAGE = (EOFError, zlib.error, lzma.LZMAError)


def unpacked(stream: IO[bytes], head: bytes) -> IO[bytes]:
    """What is packed in a stream; the stream itself where nothing packed it. Blocks where it is read, and not before.

    stream: from its beginning. head: its first four bytes or more. Raises ModuleNotFoundError where zstandard is needed and absent.
    Reading raises one of DAMAGE, or an OSError without a number, where the data are damaged: EOFError where their end is missing.
    """
    if head.startswith(GZIP):
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    if head.startswith(XZ):
        return cast(IO[bytes], lzma.LZMAFile(stream))
    if head.startswith(BZIP2):
        return cast(IO[bytes], bz2.BZ2File(stream))
    if head.startswith(ZSTANDARD):
        return io.BufferedReader(_Zstandard(stream))
    return stream


def format_of(stream: IO[bytes]) -> str:
    """ "gzip", "xz", "bzip2" or "zstandard", for what `unpacked` gave; "" for a stream that nothing packed."""
    inside = getattr(stream, "raw", stream)
    for kind, name in (
        (gzip.GzipFile, "gzip"),
        (lzma.LZMAFile, "xz"),
        (bz2.BZ2File, "bzip2"),
        (_Zstandard, "zstandard"),
    ):
        if isinstance(inside, kind):
            return name
    return ""


def is_damage(failed: Exception) -> bool:
    """Whether what reading raised says that the data are damaged."""
    return isinstance(failed, DAMAGE) or (isinstance(failed, OSError) and failed.errno is None)


class _Zstandard(io.RawIOBase):
    """What frames of zstandard hold, one behind the other; EOFError where the last one has no end."""

    def __init__(self, stream: IO[bytes]) -> None:
        import zstandard

        self.error = zstandard.ZstdError
        self.frames = Frames(stream)
        source = cast(IO[bytes], self.frames)  # of which it calls these two methods
        self.reader: Any = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        try:
            count: int = self.reader.readinto(target)
        except self.error as broken:  # of a package that may not be installed: no reader need know it
            raise OSError(str(broken)) from broken
        if not count and not self.frames.whole:
            raise EOFError("Compressed file ended before the end of its last frame was reached")
        return count

    def close(self) -> None:
        if not self.closed:
            self.reader.close()  # and the stream with it
        super().close()


class Frames:
    """Passes packed bytes on to the reader of zstandard, and knows whether a frame is open: a missing end the reader does not tell.

    Only the lengths of frames and blocks are read (RFC 8878, section 3.1); what is wrong inside of them the reader finds.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.between, self.held, self.ended = stream, True, b"", False
        self.steps = self._steps()
        self.skip, self.wanted = next(self.steps)

    @property
    def whole(self) -> bool:
        """Whether what was read ends where a frame does."""
        return self.between and not self.held

    def read(self, size: int = -1) -> bytes:
        """As the stream's own, but for a byte behind its end where a frame is cut between blocks."""
        data = self.stream.read(size)
        if not data and not self.ended and not self.held and (self.skip, self.wanted) in ((0, 3), (4, 0)):
            # Cut between blocks: with no more input the reader would keep back what it has unpacked. A byte of what is missing, a
            # head of a block or a checksum, makes it give that, and is too little to be taken for one.
            self.ended = True
            return b"\0"
        at = 0
        while at < len(data):
            passed = min(self.skip, len(data) - at)
            self.skip -= passed
            at += passed
            piece = data[at : at + self.wanted - len(self.held)]
            self.held += piece
            at += len(piece)
            while not self.skip and len(self.held) == self.wanted:
                self.held, looked = b"", self.held
                self.skip, self.wanted = self.steps.send(looked)
        return data

    def close(self) -> None:
        self.stream.close()

    def _steps(self) -> Generator[tuple[int, int], bytes, None]:
        """Yields (bytes to pass over, bytes to look at behind them), and is sent the latter."""
        while True:
            self.between = True
            magic = yield 0, 4
            self.between = False
            if magic[1:] == SKIPPABLE and magic[0] >> 4 == 5:
                yield int.from_bytes((yield 0, 4), "little"), 0
                continue
            [flags] = yield 0, 1
            single = flags >> 5 & 1  # segment: then no size of a window stands there, and always one of the content
            skip = (1 - single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
            last = False
            while not last:
                block = int.from_bytes((yield skip, 3), "little")
                last = block & 1 == 1
                skip = 1 if block >> 1 & 3 == 1 else block >> 3  # one byte that is repeated, or so many as they are
            yield skip + (4 if flags & 4 else 0), 0  # the checksum

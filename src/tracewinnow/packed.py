"""Packed files, known by their first bytes: what gzip, zstandard, xz or bzip2 packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import IO, cast

GZIP, ZSTANDARD, XZ, BZIP2 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zX", b"BZh"
PACKED = (GZIP, ZSTANDARD, XZ, BZIP2)  # how such files begin


def unpacked(stream: IO[bytes], head: bytes) -> IO[bytes]:
    """What is packed in a stream; the stream itself where nothing packed it. Blocks where it is read, and not before.

    stream: from its beginning. head: its first four bytes or more. Raises ModuleNotFoundError where zstandard is needed and absent.
    """
    if head.startswith(GZIP):
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    if head.startswith(XZ):
        return cast(IO[bytes], lzma.LZMAFile(stream))
    if head.startswith(BZIP2):
        return cast(IO[bytes], bz2.BZ2File(stream))
    if head.startswith(ZSTANDARD):
        import zstandard

        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True))
    return stream

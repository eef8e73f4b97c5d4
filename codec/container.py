"""The container: a header, framed chunks that stand for themselves, a table of them, a footer. FORMAT.md, sections 2
to 4."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from .backend import backend
from .errors import Corrupt, TooNew, Truncated
from .varint import Cursor, signed, varint

MAGIC = b"\x93TWC"
VERSION = 1
END = b"TWCE"
HEADER = struct.Struct("<4sBBH")  # magic, version, kind of content, flags (0)
FOOTER = struct.Struct("<I4s")  # bytes of the table's frame, end mark
CRC = struct.Struct("<I")

# Kinds of content, in the header.
SERIES, SPARSE, TEXT, SPANS, BUNDLE = 1, 2, 3, 4, 5
CONTENT = {SERIES: "series", SPARSE: "sparse", TEXT: "text", SPANS: "spans", BUNDLE: "bundle"}

# Kinds of chunk. From 64 on they may be skipped by a reader that does not know them.
TABLE, META, DATA = 1, 2, 3
SKIPPABLE = 64


@dataclass(frozen=True)
class Chunk:
    """A chunk as the table tells it: kind, offset and bytes of its frame, how many things it holds, the least step
    and how far above it the greatest lies."""

    kind: int
    offset: int
    size: int
    count: int = 0
    low: int = 0
    span: int = 0


def header(content: int) -> bytes:
    return HEADER.pack(MAGIC, VERSION, content, 0)


def frame(kind: int, payload: bytes) -> bytes:
    """kind u8 | varint bytes of payload | payload | CRC-32 of all before."""
    return b"".join(frame_parts(kind, payload))


def frame_parts(kind: int, payload: bytes) -> tuple[bytes, bytes, bytes]:
    head = bytes((kind,)) + varint(len(payload))
    return head, payload, CRC.pack(backend().crc32(payload, zlib.crc32(head)))


def table(chunks: list[Chunk]) -> bytes:
    """The table's frame and the footer: what makes a finished file fast to open."""
    body = bytearray(varint(len(chunks)))
    for chunk in chunks:
        body += bytes((chunk.kind,)) + varint(chunk.offset) + varint(chunk.size)
        body += varint(chunk.count) + signed(chunk.low) + varint(chunk.span)
    framed = frame(TABLE, bytes(body))
    return framed + FOOTER.pack(len(framed), END)


def pack(content: int, parts: list[tuple[int, bytes, int, int, int]]) -> bytes:
    """A whole container of (kind, payload, count, low, span)."""
    out = [header(content)]
    chunks: list[Chunk] = []
    offset = HEADER.size
    for kind, payload, count, low, span in parts:
        framed = frame_parts(kind, payload)
        chunks.append(Chunk(kind, offset, sum(map(len, framed)), count, low, span))
        offset += chunks[-1].size
        out += framed
    return b"".join([*out, table(chunks)])


def open_header(data: memoryview) -> int:
    """Kind of content; raises if these bytes are no container, or one of a later version."""
    if len(data) < HEADER.size:
        if data[:4] != MAGIC[: len(data)]:
            raise Corrupt("not a tracewinnow container: the magic number is missing", 0)
        raise Truncated(f"a container has at least {HEADER.size} bytes, this has {len(data)}", 0)
    magic, version, content, flags = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Corrupt("not a tracewinnow container: the magic number is missing", 0)
    if version == 0:
        raise Corrupt("version 0 was never written", 4)
    if version > VERSION:
        raise TooNew(
            f"container of format version {version}; this reader knows up to {VERSION}: upgrade tracewinnow", 4
        )
    if flags:
        raise TooNew(f"container with unknown flags {flags:#x}: upgrade tracewinnow", 6)
    return int(content)


def payload(data: memoryview, chunk: Chunk) -> Cursor:
    """Cursor over the payload of a chunk, its frame and checksum checked."""
    if chunk.offset > len(data) or chunk.size > len(data) - chunk.offset:
        raise Truncated(f"chunk of {chunk.size} bytes goes beyond the end", chunk.offset)
    cursor = Cursor(data, chunk.offset, chunk.offset + chunk.size)
    kind, body = read_frame(cursor)
    if kind != chunk.kind or cursor.left():
        raise Corrupt("the chunk is not what the table says", chunk.offset)
    return body


def read_frame(cursor: Cursor) -> tuple[int, Cursor]:
    """(kind, cursor over the payload) of the frame at the cursor, which moves behind it."""
    start = cursor.at
    kind = cursor.u8()
    size = cursor.varint()
    at = cursor.at
    cursor.take(size)
    (expected,) = CRC.unpack(cursor.take(CRC.size))
    if backend().crc32(cursor.data[start : at + size]) != expected:
        raise Corrupt("checksum differs", start)
    return kind, Cursor(cursor.data, at, at + size)


def read_table(data: memoryview) -> list[Chunk]:
    """The chunks of a finished container, from its table. Truncated if it has no footer."""
    if len(data) < HEADER.size + FOOTER.size:
        raise Truncated("no footer", len(data))
    size, end = FOOTER.unpack_from(data, len(data) - FOOTER.size)
    if end != END:
        raise Truncated("no footer: the container was not finished (recover=True reads what is whole)", len(data))
    at = len(data) - FOOTER.size - size
    if at < HEADER.size:
        raise Corrupt("the footer points before the container", len(data) - FOOTER.size)
    body = payload(data, Chunk(TABLE, at, size))
    count = body.varint(body.left() // 6)
    chunks = []
    expected = HEADER.size
    for _ in range(count):
        chunk = Chunk(body.u8(), body.varint(), body.varint(), body.varint(), body.signed(), body.varint())
        if chunk.offset != expected:
            raise Corrupt("the chunks of the table do not follow each other", at)
        expected += chunk.size
        chunks.append(chunk)
    body.done()
    if expected != at:
        raise Corrupt("the table does not cover the container", at)
    return chunks


def scan(data: memoryview) -> Iterator[tuple[int, Cursor]]:
    """(kind, payload) of each whole chunk from the beginning; stops without an error where the bytes end or break."""
    cursor = Cursor(data, HEADER.size)
    while cursor.left():
        try:
            kind, body = read_frame(cursor)
        except (Truncated, Corrupt):
            return
        if kind == TABLE:
            return
        yield kind, body


def known(kind: int, offset: int) -> bool:
    """Whether the reader understands this kind of chunk; TooNew if it does not and may not skip it."""
    if kind in (META, DATA):
        return True
    if kind >= SKIPPABLE:
        return False
    raise TooNew(f"chunk of unknown kind {kind}: upgrade tracewinnow", offset)

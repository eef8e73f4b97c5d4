"""The bytes of one archive object (`.twa`): telemetry batches of one job in one window, compressed, with an index.

    object  := HEAD index block*                    integers big-endian; nothing may follow
    index   := zstd frame of: job id (UTF-8, HEAD.job_length bytes), BLOCK × HEAD.blocks, ENTRY × HEAD.batches
    block   := zstd frame of the TelemetryBatch bytes of BLOCK.batches consecutive entries, back to back

Entries ascend as bytes, none twice: that is by process, then sequence. A block is closed before it would exceed
BLOCK_BYTES, so a larger one holds a single batch. Every length is checked against its limit before memory is taken.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import zstandard

from tracewinnow.stores.errors import CorruptObject, TooNew

MAGIC = b"\x93TWA"  # a first byte that begins no text
VERSION = 1

HEAD = struct.Struct(
    ">4s"  # magic
    "H"  # version
    "H"  # job_length: bytes of the job id
    "q"  # window_start_ns
    "I"  # blocks
    "I"  # batches
    "I"  # index_length: bytes of the index as it stands, compressed
    "I"  # index_crc: CRC-32 of these
    "I"  # head_crc: CRC-32 of the head before it
)
BLOCK = struct.Struct(
    ">I"  # batches
    "I"  # length, compressed
    "I"  # length of the raw bytes
    "I"  # CRC-32 of the compressed bytes
)
ENTRY = struct.Struct(
    ">16s"  # process_uuid
    "Q"  # sequence
    "q"  # created_ns
    "I"  # length of the batch
    "32s"  # digest: SHA-256 of the batch
)

LENGTH: Final = 3  # its place in an unpacked entry

BLOCK_BYTES = 4 << 20  # what a reader of one batch has to decompress; larger ones compress no better at this level
BATCH_LIMIT = 64 << 20  # bytes; brokers refuse far smaller records
BATCHES_LIMIT = 1 << 20  # in one object: an index of 71 MB
JOB_LIMIT = 4096  # bytes
LEVEL = 1  # 350 MB/s a core, a quarter of the size; level 3 takes twice as long for 6 % less

_HEAD_CRC = struct.Struct(">I")


class ArchivedBatch(NamedTuple):
    """process_uuid: 32 lower-case hex digits; data: the TelemetryBatch as it was sent."""

    process_uuid: str
    sequence: int
    created_ns: int
    data: bytes


# What the index tells of a batch, as ENTRY has it: process_uuid as 16 bytes, sequence, created_ns, length, digest. A
# plain tuple: there may be a million.
RawEntry = tuple[bytes, int, int, int, bytes]


class Block(NamedTuple):
    """start, length: where it stands in the object; raw: bytes when decompressed; entries [first, last) are in it."""

    start: int
    length: int
    raw: int
    crc: int
    first: int
    last: int


class Index(NamedTuple):
    """The part of an object that tells what is in it."""

    job_id: str
    window_start_ns: int
    blocks: list[Block]
    entries: list[RawEntry]


def pack_entry(batch: ArchivedBatch) -> bytes:
    """The ENTRY of a batch. Raises ValueError for what the format cannot hold."""
    uuid = bytes.fromhex(batch.process_uuid)
    if len(uuid) != 16 or uuid.hex() != batch.process_uuid:
        raise ValueError(f"process_uuid {batch.process_uuid!r} is not 32 lower-case hex digits")
    if len(batch.data) > BATCH_LIMIT:
        raise ValueError(f"a batch of {len(batch.data)} bytes; the archive takes {BATCH_LIMIT}")
    try:
        return ENTRY.pack(uuid, batch.sequence, batch.created_ns, len(batch.data), hashlib.sha256(batch.data).digest())
    except struct.error as wrong:
        raise ValueError(f"sequence {batch.sequence}, created_ns {batch.created_ns}: {wrong}") from None


def encode(job_id: str, window_start_ns: int, content: Mapping[bytes, bytes]) -> bytes:
    """The object for batches by their `pack_entry`. Raises ValueError beyond a limit."""
    job = job_id.encode()
    if len(job) > JOB_LIMIT:
        raise ValueError(f"a job id of {len(job)} bytes; the archive takes {JOB_LIMIT}")
    if len(content) > BATCHES_LIMIT:
        raise ValueError(f"{len(content)} batches; one archive object takes {BATCHES_LIMIT}: write them in parts")
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    entries = sorted(content)
    data = [content[entry] for entry in entries]
    bodies, blocks = [], []
    for first, last in _cut([len(batch) for batch in data]):
        raw = b"".join(data[first:last])
        body = compressor.compress(raw)
        bodies.append(body)
        blocks.append(BLOCK.pack(last - first, len(body), len(raw), zlib.crc32(body)))
    index = compressor.compress(b"".join([job, *blocks, *entries]))
    head = HEAD.pack(
        MAGIC, VERSION, len(job), window_start_ns, len(blocks), len(entries), len(index), zlib.crc32(index), 0
    )
    head = head[: -_HEAD_CRC.size] + _HEAD_CRC.pack(zlib.crc32(head[: -_HEAD_CRC.size]))
    return b"".join([head, index, *bodies])


def index_end(name: str, start: bytes) -> int:
    """Where the index ends, from at least the first HEAD.size bytes of an object. Raises CorruptObject, TooNew."""
    return HEAD.size + _head(name, start)[5]


def decode_index(name: str, start: bytes, size: int) -> Index:
    """The index of an object of `size` bytes, from its first `index_end` bytes. Raises CorruptObject, TooNew."""
    job_length, window_start_ns, block_count, batch_count, index_crc, index_length = _head(name, start)
    frame = start[HEAD.size : HEAD.size + index_length]
    if len(frame) < index_length:
        raise CorruptObject(name, "it ends inside its index")
    raw = _decompress(name, frame, index_crc, job_length + block_count * BLOCK.size + batch_count * ENTRY.size)
    blocks, first, position = [], 0, HEAD.size + index_length
    blocks_end = job_length + block_count * BLOCK.size
    for batches, length, raw_length, crc in BLOCK.iter_unpack(raw[job_length:blocks_end]):
        blocks.append(Block(position, length, raw_length, crc, first, first + batches))
        first += batches
        position += length
    entries: list[RawEntry] = list(ENTRY.iter_unpack(raw[blocks_end:]))
    if first != len(entries):
        raise CorruptObject(name, f"its blocks hold {first} batches, its index {len(entries)}")
    if position != size:
        raise CorruptObject(
            name, f"it has {size} bytes, its index says {position}: {'cut short' if size < position else 'too long'}"
        )
    for block in blocks:
        total = sum([entry[LENGTH] for entry in entries[block.first : block.last]])
        if total != block.raw or block.raw > max(BLOCK_BYTES, BATCH_LIMIT):
            raise CorruptObject(name, f"a block of {block.raw} bytes with batches of {total}")
    try:
        job_id = raw[:job_length].decode()
    except UnicodeDecodeError:
        raise CorruptObject(name, "its job id is not UTF-8") from None
    return Index(job_id, window_start_ns, blocks, entries)


def decode_block(name: str, block: Block, entries: Sequence[RawEntry], frame: bytes | memoryview) -> list[bytes]:
    """The batches of a block, in order, from its compressed bytes. entries: of the object. Raises CorruptObject."""
    raw = _decompress(name, frame, block.crc, block.raw)
    batches, position = [], 0
    for entry in entries[block.first : block.last]:
        end = position + entry[LENGTH]
        batches.append(raw[position:end])
        position = end
    return batches


def _head(name: str, start: bytes) -> tuple[int, int, int, int, int, int]:
    """job_length, window_start_ns, blocks, batches, index_crc, index_length."""
    if not start.startswith(MAGIC[: len(start)]) or not start:
        raise CorruptObject(name, "it is no archive object" if start else "it is empty")
    if len(start) < HEAD.size:
        raise CorruptObject(name, "it ends inside its head")
    _, version, job_length, window_start_ns, blocks, batches, length, index_crc, head_crc = HEAD.unpack_from(start)
    if version > VERSION:
        raise TooNew(name, f"version {version} of the archive format; this software reads up to {VERSION}: update it")
    if zlib.crc32(start[: HEAD.size - _HEAD_CRC.size]) != head_crc:
        raise CorruptObject(name, "the checksum of its head is wrong")
    if batches > BATCHES_LIMIT or blocks > batches or job_length > JOB_LIMIT:
        raise CorruptObject(name, f"it claims {batches} batches in {blocks} blocks")
    return job_length, window_start_ns, blocks, batches, index_crc, length


def _decompress(name: str, frame: bytes | memoryview, crc: int, expected: int) -> bytes:
    if zlib.crc32(frame) != crc:
        raise CorruptObject(name, "a checksum is wrong")
    try:
        if zstandard.frame_content_size(frame) != expected:
            raise CorruptObject(name, f"a part does not have the {expected} bytes that it should")
        raw: bytes = zstandard.ZstdDecompressor().decompress(frame, max_output_size=expected)
    except zstandard.ZstdError as wrong:
        raise CorruptObject(name, f"a part does not decompress: {wrong}") from None
    return raw


def _cut(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """[first, last) of each block."""
    first, total = 0, 0
    for position, length in enumerate(lengths):
        if position > first and total + length > BLOCK_BYTES:
            yield first, position
            first, total = position, 0
        total += length
    if lengths:
        yield first, len(lengths)

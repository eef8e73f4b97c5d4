"""Where the entries of a sparse tensor are. FORMAT.md, section 9.

Three ways: gaps for few entries, a bitmap by zstd where it repeats, and a bitmap whose blocks of like density share a
model of their bytes, for what looks like chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from . import entropy, streams
from .varint import Cursor, section, varint

FULL, GAPS, BITMAP, BLOCKS = 0, 1, 2, 3
BLOCK = 32  # bytes of a block of a bitmap
CLASSES = 8  # of blocks, by the root of their density
MIDDLE = 128  # what is added to a residual to make it a byte
SAMPLE = 1 << 14  # gaps on which their cost is estimated
BITMAP_FROM = 64  # a bitmap is allowed where one element in so many is an entry
POPULATION = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


def encode(entries: NDArray[Any], total: int) -> bytes:
    """Where the entries are among so many elements: u8 kind and what the kind has, whatever is smallest.

    entries: positions, rising, or a bool for each element.
    """
    dense = entries.dtype == bool
    count = int(np.count_nonzero(entries)) if dense else len(entries)
    if count == total:
        return bytes((FULL,))
    if total > BITMAP_FROM * count:
        return encode_gaps(np.flatnonzero(entries) if dense else entries)
    if not dense:
        there = np.zeros(total, bool)
        there[entries] = True
        entries = there
    packed = np.packbits(entries)
    found = min(bytes((BITMAP,)) + section(zstandard.compress(packed.tobytes(), 3)), encode_blocks(packed), key=len)
    if count > SAMPLE:  # gaps cost time: those in the middle tell whether they are worth it
        half = SAMPLE * total // (2 * count)
        part = np.flatnonzero(entries[total // 2 - half : total // 2 + half])
        if len(encode_gaps(part)) * count > 1.05 * len(part) * len(found):
            return found
    return min(encode_gaps(np.flatnonzero(entries)), found, key=len)


def encode_gaps(index: NDArray[np.int64]) -> bytes:
    gaps = np.diff(index, prepend=-1) - 1
    wide = len(gaps) > 0 and int(gaps.max()) >= 1 << 32
    coded = streams.entropy_code(gaps.astype(np.uint64 if wide else np.uint32))
    return bytes((GAPS, 8 if wide else 4)) + section(coded)


def encode_blocks(packed: NDArray[np.uint8]) -> bytes:
    """varint streams | section(stream of each block) | the bytes of each stream."""
    blocks = np.zeros((-(-len(packed) // BLOCK), BLOCK), np.uint8)
    blocks.reshape(-1)[: len(packed)] = packed
    density = POPULATION[blocks].sum(1, dtype=np.int64) / (8 * BLOCK)
    classes = np.where(density > 0, 1 + np.minimum(np.sqrt(density) * CLASSES, CLASSES - 1), 0).astype(np.uint8)
    codes, sizes = streams.assign(classes[:, None], BLOCK)
    order = np.argsort(codes[:, 0], kind="stable")[np.count_nonzero(codes == 0) :]
    residuals = blocks[order].reshape(-1).astype(np.int32) - MIDDLE
    parts = np.split(residuals, np.cumsum(sizes)[:-1]) if sizes else []
    out = bytes((BLOCKS,)) + section(streams.entropy_code(codes.ravel().astype(np.uint16), streams.ANY))
    return out + varint(len(sizes)) + entropy.encode(parts, fixed=(0, MIDDLE))


def decode(cursor: Cursor, count: int, total: int) -> NDArray[Any] | None:
    """The bitmap of positions (uint8, most significant bit first), or the positions (int64), or None if all are entries.

    What a bitmap says is checked by whoever reads its bits: `index_of`, or backend().fill.
    """
    kind = cursor.u8()
    if kind == FULL and count == total:
        return None
    if kind == GAPS:
        return decode_gaps(cursor, count, total)
    if kind not in (BITMAP, BLOCKS) or total > BITMAP_FROM * max(count, 1):
        raise cursor.corrupt(f"unknown kind of positions {kind}")
    size = -(-total // 8)
    if kind == BLOCKS:
        return decode_blocks(cursor, size)
    return np.frombuffer(streams.expand(cursor.part(), size), np.uint8)


def decode_gaps(cursor: Cursor, count: int, total: int) -> NDArray[np.int64]:
    size = cursor.u8()
    if size not in (4, 8):
        raise cursor.corrupt(f"gaps of {size} bytes")
    gaps = streams.entropy_decode(cursor.part(), count, np.dtype(f"u{size}"))
    if size == 8 and count and int(gaps.max()) >= total:
        raise cursor.corrupt("a position outside the tensor")
    index = np.cumsum(gaps, dtype=np.int64)
    index += np.arange(count)
    if count and (int(index[-1]) >= total or bool((np.diff(index) <= 0).any())):
        raise cursor.corrupt("a position outside the tensor")
    return index


def decode_blocks(cursor: Cursor, size: int) -> NDArray[np.uint8]:
    """The first `size` bytes of the blocks at the cursor, which moves behind them."""
    blocks = -(-size // BLOCK)
    codes = streams.entropy_decode(cursor.part(), blocks, np.dtype(np.uint16))
    count = cursor.varint(streams.MAX_STREAMS)
    if blocks and int(codes.max()) > count:
        raise cursor.corrupt("a block is in a stream that is not there")
    sizes = np.bincount(codes, minlength=count + 1)
    residuals = entropy.decode(cursor, sizes[1:] * BLOCK, np.dtype(np.int32))
    out = np.zeros((blocks, BLOCK), np.uint8)
    order = np.argsort(codes, kind="stable")[sizes[0] :]
    out[order] = (residuals.astype(np.uint8) ^ np.uint8(MIDDLE)).reshape(-1, BLOCK)  # plus 128, modulo 256
    return out.reshape(-1)[:size]


def index_of(found: NDArray[Any] | None, count: int, total: int) -> NDArray[np.int64] | None:
    """Positions, of what `decode` gave; None if a bitmap has not as many entries as there are, or others beyond the tensor."""
    if found is None:
        return np.arange(total, dtype=np.int64)
    if found.dtype == np.uint8:
        index = np.flatnonzero(np.unpackbits(found))
        return index if len(index) == count and (not count or int(index[-1]) < total) else None
    return found.astype(np.int64, copy=False)

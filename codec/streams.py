"""Residuals by scale: blocks of 256 steps with residuals of like size share a stream. FORMAT.md, section 8.1. And the two
general coders, pcodec and zstd, with their output bounded."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, standalone

from .errors import Corrupt
from .limits import BLOCK
from .varint import Cursor

ANY = ChunkConfig(compression_level=8)
RESIDUALS = ChunkConfig(compression_level=8, mode_spec=ModeSpec.classic(), delta_spec=DeltaSpec.no_op())
LEAST = 1024  # samples of a stream; below it joins the next
MAX_STREAMS = 254


def assign(classes: NDArray[np.uint8], steps: int) -> tuple[NDArray[np.uint8], list[int]]:
    """Stream (from 1; 0 is all zeros) of each block, and the samples of each stream. classes: (columns, blocks)."""
    lengths = np.minimum(BLOCK, steps - BLOCK * np.arange(classes.shape[1]))
    samples = np.bincount(classes.ravel(), np.broadcast_to(lengths, classes.shape).ravel(), 256).astype(np.int64)
    stream = np.zeros(256, np.uint8)
    sizes: list[int] = []
    for c in np.flatnonzero(samples[1:]) + 1:
        if not sizes or sizes[-1] >= LEAST:
            sizes.append(0)
        sizes[-1] += int(samples[c])
        stream[c] = len(sizes)
    if len(sizes) > 1 and sizes[-1] < LEAST:
        stream[stream == len(sizes)] -= 1
        last = sizes.pop()
        sizes[-1] += last
    return stream[classes], sizes


def lengths(codes: NDArray[np.uint8], steps: int, streams: int) -> NDArray[np.int64]:
    """Samples of each stream, from the codes of the blocks (columns, blocks), of which there is at least one."""
    samples = np.bincount(codes.ravel(), minlength=streams + 1) * BLOCK
    if steps % BLOCK:  # the last block of each column is short
        samples -= np.bincount(codes[:, -1], minlength=streams + 1) * (BLOCK - steps % BLOCK)
    return samples[1:]


def entropy_code(numbers: NDArray[Any], config: ChunkConfig = RESIDUALS) -> bytes:
    coded: bytes = standalone.simple_compress(numbers, config)
    return coded


def entropy_decode(cursor: Cursor, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Exactly count numbers of the dtype."""
    out = np.empty(count, dtype)
    entropy_decode_into(cursor, out)
    return out


def entropy_decode_into(cursor: Cursor, out: NDArray[Any]) -> None:
    """Exactly as many numbers as out has room for: the memory is ours, so that no stream can ask for more."""
    try:
        progress = standalone.simple_decompress_into(bytes(cursor.take(cursor.left())), out)
    except (RuntimeError, ValueError, TypeError) as wrong:
        raise Corrupt(f"entropy-coded stream: {wrong}", cursor.base + cursor.at) from None
    if progress.n_processed != len(out) or not progress.finished:
        raise cursor.corrupt(f"entropy-coded stream does not hold {len(out)} numbers")


_LOCAL = threading.local()


def decompressor(words: zstandard.ZstdCompressionDict | None) -> zstandard.ZstdDecompressor:
    """One for each thread: to make it costs more than a small frame."""
    if words is not None:
        return zstandard.ZstdDecompressor(dict_data=words)
    if not hasattr(_LOCAL, "decompressor"):
        _LOCAL.decompressor = zstandard.ZstdDecompressor()
    found: zstandard.ZstdDecompressor = _LOCAL.decompressor
    return found


def expand(cursor: Cursor, size: int, words: zstandard.ZstdCompressionDict | None = None) -> bytes:
    """What the zstd frame at the cursor holds: exactly size bytes."""
    frame = cursor.take(cursor.left())
    try:
        stated = zstandard.frame_content_size(frame)
        if stated != size:
            raise cursor.corrupt(f"zstd frame of {stated} bytes where {size} are due")
        out = decompressor(words).decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as wrong:
        raise cursor.corrupt(f"zstd frame: {wrong}") from None
    if len(out) != size:
        raise cursor.corrupt(f"zstd frame holds {len(out)} bytes where {size} are due")
    return out


def expand_up_to(cursor: Cursor, most: int, words: zstandard.ZstdCompressionDict | None = None) -> bytes:
    """What the zstd frame at the cursor holds, if that is at most so many bytes."""
    stated = stated_size(cursor)
    if not 0 <= stated <= most:
        raise cursor.corrupt(f"zstd frame of {stated} bytes, at most {most} are due")
    return expand(cursor, stated, words)


def stated_size(cursor: Cursor) -> int:
    """How many bytes the zstd frame at the cursor says it holds; -1 if it does not say."""
    try:
        size: int = zstandard.frame_content_size(cursor.data[cursor.at : cursor.end])
    except zstandard.ZstdError as wrong:
        raise cursor.corrupt(f"zstd frame: {wrong}") from None
    return size

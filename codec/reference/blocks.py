"""What other columns tell, residuals by blocks and streams, and back to latents. FORMAT.md, sections 7 and 8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import Latents, Mask
from ..limits import BLOCK
from .prediction import TREND, wrap


def half_octave(magnitude: int) -> int:
    """Twice the bit length, and one more in the upper half of its octave: 0, 2, 4, 5, 6, 6, 7, 7, 8."""
    n = magnitude.bit_length()
    return 2 * n + (magnitude >> (n - 2) & 1) if n >= 2 else 2 * n


def expected(
    e: NDArray[np.float32], columns: NDArray[np.int32], weights: NDArray[np.float32], dtype: np.dtype[Any]
) -> Latents:
    """What other columns tell of a column at each step: sum of weight * e, in float32, rounded with a half away from
    zero."""
    total = np.zeros(e.shape[1], np.float32)
    for c, w in zip(columns, weights, strict=True):
        total = total + w * e[c]
    total = total + np.copysign(np.float32(0.5), total)
    limit = np.float32(2.0**30 if dtype.itemsize == 4 else 2.0**62)
    out: Latents = np.minimum(np.maximum(total, -limit), limit).astype(dtype)
    return out


def residuals(
    e: Latents, starts: NDArray[np.int32], columns: NDArray[np.int32], weights: NDArray[np.float32], mask: Mask
) -> tuple[Latents, NDArray[np.uint8], NDArray[np.uint8]]:
    """(what neither past nor other columns tell, the class of each of its blocks, the class without other columns)."""
    count, steps = e.shape
    r = e.copy()
    floats = e.astype(np.float32)
    classes = np.zeros((count, -(-steps // BLOCK)), np.uint8)
    alone = np.zeros_like(classes)
    for j in range(count):
        refs = slice(starts[j], starts[j + 1])
        if starts[j + 1] > starts[j]:
            with np.errstate(over="ignore"):
                r[j] = e[j] - expected(floats, columns[refs], weights[refs], e.dtype)
            if mask is not None:
                r[j][mask[j] != 0] = 0
        for b in range(classes.shape[1]):
            classes[j, b] = block_class(r[j, b * BLOCK : (b + 1) * BLOCK])
            alone[j, b] = block_class(e[j, b * BLOCK : (b + 1) * BLOCK])
    return r, classes, alone


def block_class(block: Latents) -> int:
    """The half octave of the sum of the magnitudes of a block, as if it were whole."""
    size = 0
    for v in block.tolist():
        size = size + abs(v) if block.itemsize == 4 else (size + (abs(v) >> 8)) % (1 << 64) | (v != 0)
    if len(block) < BLOCK:
        size = (size * BLOCK + len(block) - 1) % (1 << 64) // len(block)
    return half_octave(size)


def split(r: Latents, codes: NDArray[np.uint8], sizes: list[int]) -> list[Latents]:
    """The blocks of each stream, column after column. codes: stream of each block, from 1; 0 is no stream."""
    out: list[list[Latents]] = [[] for _ in sizes]
    for j in range(len(r)):
        for b, code in enumerate(codes[j].tolist()):
            if code:
                out[code - 1].append(r[j, b * BLOCK : (b + 1) * BLOCK])
    return [np.concatenate(blocks) for blocks in out]


def join(
    streams: Latents, sizes: NDArray[np.int64], codes: NDArray[np.uint8], kinds: NDArray[np.uint8], firsts: Latents,
    starts: NDArray[np.int32], columns: NDArray[np.int32], weights: NDArray[np.float32], mask: Mask,
    needed: NDArray[np.uint8], table: NDArray[Any] | None, low: int, high: int, out: NDArray[Any],
) -> bool:  # fmt: skip
    """Writes to out (columns, steps) the latents of the needed columns, or what the table has for them.

    streams: the residuals of all streams, one after the other; sizes: how many are in each.

    False if a latent is not in [low, high]: then out holds anything.
    """
    (count, steps), bits = out.shape, 8 * firsts.itemsize
    e = np.zeros((count, steps), firsts.dtype)
    at = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    for j in range(count):
        for b, code in enumerate(codes[j].tolist()):
            if code:
                size = min(BLOCK, steps - b * BLOCK)
                e[j, b * BLOCK : b * BLOCK + size] = streams[at[code - 1] : at[code - 1] + size]
                at[code - 1] += size
    floats = np.zeros((count, steps), np.float32)
    for j in np.flatnonzero(needed).tolist():
        refs = slice(starts[j], starts[j + 1])
        if starts[j + 1] > starts[j]:
            with np.errstate(over="ignore"):
                e[j] += expected(floats, columns[refs], weights[refs], e.dtype)
        if mask is not None:
            e[j][mask[j] != 0] = 0
        floats[j] = e[j]
        kind, first = int(kinds[j]), int(firsts[j])
        value, trend, state = first, 0, 0
        x = []
        for i, left in enumerate(e[j].tolist()):
            if kind == TREND:
                if mask is None or not mask[j, i]:
                    trend = wrap(trend + left, bits)
                    value = wrap(value + trend, bits)
                x.append(value)
            else:
                x.append(wrap(left + first + (state >> kind), bits))
                state = wrap(state + left, 64)
        if min(x, default=low) < low or max(x, default=high) > high:
            return False
        out[j] = x if table is None else table[np.array(x, np.int64) - low]
    return True

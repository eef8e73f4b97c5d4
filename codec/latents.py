"""Samples to integers that can be predicted ("latents"), and back. FORMAT.md, section 6.

bits    lossless: the bits of a float in their numeric order, less the low bits that are zero in all
        samples (bfloat16 in float32 has 16)
log     relative bound: the logarithm of the magnitude on a grid
linear  absolute bound: the value on a grid

Zeros, denormals, infinities and NaN do not fit a grid and disturb a prediction: they are marked, and stored aside
with their bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .backend import Latents, Mask, backend
from .limits import MAX_TABLE
from .reference.latents import COEFFICIENTS, exp2

BITS, LOG, LINEAR = 1, 2, 3
INT32_MIN = -(2**31)
GRID_LIMIT = float(2**30)


@dataclass(frozen=True)
class Mapping:
    """How latents stand for samples: coding, shift (bits), step and offset (log, linear), the range that the latents
    keep to."""

    coding: int
    low: int
    high: int
    shift: int = 0
    step: float = 0.0
    offset: float = 0.0


def word(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The unsigned integer of a dtype's size."""
    return np.dtype(f"u{dtype.itemsize}")


def grid(q: NDArray[np.int64] | NDArray[np.int32], mapping: Mapping, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The samples that latents of a log or linear mapping stand for (magnitudes, for log)."""
    with np.errstate(over="ignore", under="ignore"):
        if mapping.coding == LOG:
            return exp2(q.astype(np.float64) * mapping.step + mapping.offset).astype(dtype)
        return (q.astype(np.float64) * mapping.step).astype(dtype)


def table(mapping: Mapping, samples: int, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """What each latent stands for, or None if there are more latents than samples, so that each sample is computed
    instead."""
    if mapping.coding == BITS or mapping.high - mapping.low >= min(max(samples, 1 << 16), MAX_TABLE):
        return None
    if mapping.coding == LINEAR:
        return grid(np.arange(mapping.low, mapping.high + 1), mapping, dtype)
    count = mapping.high - mapping.low + 1
    with np.errstate(over="ignore", under="ignore"):
        return backend().exp_table(mapping.low, count, mapping.step, mapping.offset, COEFFICIENTS).astype(dtype)


def shared_zeros(words: NDArray[Any]) -> int:
    """How many low bits are zero in every word, at most one less than all."""
    if words.size == 0:
        return 0
    some = int(np.bitwise_or.reduce(words[:: max(1, len(words) // 64)], axis=None))
    if some & 1:
        return 0
    every = int(np.bitwise_or.reduce(words, axis=None))
    return (every & -every).bit_length() - 1 if every else 0


def lossless(values: NDArray[Any]) -> tuple[Latents, Mask, Mapping]:
    """values: (steps, columns) of a float dtype or int64."""
    words = values.view(word(values.dtype))
    shift = shared_zeros(words)
    if values.dtype.kind == "i":
        x = np.ascontiguousarray(values.T) >> shift
        return x, None, Mapping(BITS, int(x.min(initial=2**62)) if x.size else 0, int(x.max()) if x.size else 0, shift)
    info = np.finfo(values.dtype)
    exponent = ((1 << info.bits - 1) - 1) >> info.nmant << info.nmant
    magnitude = (1 << info.bits - 1) - 1
    if info.bits == 16:
        words, shift, exponent, magnitude = words.astype(np.uint32) << 16, shift + 16, exponent << 16, magnitude << 16
    x, mask, low, high = backend().order_bits(words, shift, exponent, magnitude)
    return x, mask, Mapping(BITS, *((low, high) if low <= high else (0, 0)), shift)


def restore_bits(x: Latents, mapping: Mapping, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Samples (columns, steps) of latents of a bits mapping, written over x if they have its size."""
    if dtype.itemsize == 2 and mapping.low >= 0:
        halves = x.astype(np.uint16)
        halves <<= np.uint16(mapping.shift - 16)
        return halves.view(dtype)
    if mapping.shift:
        x <<= mapping.shift
    if mapping.low < 0 and dtype.kind == "f":
        magnitude = np.array((1 << 8 * x.itemsize - 1) - (1 << mapping.shift), x.dtype)
        x ^= (x >> (8 * x.itemsize - 1)) & magnitude
    if dtype.itemsize == 2:
        return (x.view(np.uint32) >> 16).astype(np.uint16).view(dtype)
    return x.view(dtype)


def relative(values: NDArray[Any], bound: float) -> tuple[Latents, Mask, Mapping, bool] | None:
    """Latents under a relative bound, and whether any sample is negative; None if the dtype, or what the samples
    use of it, is too coarse for the bound."""
    info = np.finfo(values.dtype)
    rel = min(bound, 0.5) * (1 - 2.0**-20) - 2.0 ** -(info.nmant + 1)
    step = math.log2((1 + rel) / (1 - rel)) if rel > 0 else 0.0
    if step * GRID_LIMIT < 2 * info.maxexp + 64:
        return None
    # Samples with few bits, as those born in bfloat16, may have fewer values in an octave than the grid has points.
    if math.ldexp(2 * rel, info.nmant - shared_zeros(values.view(word(values.dtype)))) <= math.log(2):
        return None
    source = values.astype(np.float32) if info.bits == 16 else values
    low, high = float(info.tiny) * (1 + 4 * rel), float(info.max) / (1 + 4 * rel)
    x, special, negative, least, most = backend().log_quantise(source, step, low, high)
    mask = (x == INT32_MIN).view(np.uint8) if special else None
    if least > most:
        least = most = 0
    return x, mask, Mapping(LOG, least, most, 0, step, 0.5 * math.log2(1 - rel * rel)), negative


def absolute(values: NDArray[Any], bound: float) -> tuple[Latents, Mask, Mapping] | None:
    """Latents under an absolute bound; None if most samples cannot keep it on a grid of 2**31 points."""
    info = np.finfo(values.dtype)
    step = 2 * bound * (1 - 2.0**-20)
    if not 0 < step < math.inf:
        return None
    columns = np.ascontiguousarray(values.T)
    with np.errstate(invalid="ignore", over="ignore"):
        q = np.rint(columns.astype(np.float64) / step)
        ok = (np.abs(columns) >= info.tiny) & (np.abs(q) < GRID_LIMIT)
        x = np.where(ok, q, 0).astype(np.int32)
        mapping = Mapping(LINEAR, int(x.min(initial=0)), int(x.max(initial=0)), 0, step)
        back = grid(x, mapping, values.dtype).astype(np.float64)
        # A sample whose grid point is not in the dtype, or becomes zero or infinite, is stored aside.
        ok &= np.abs(back - columns.astype(np.float64)) <= bound
    if 8 * np.count_nonzero(~ok & np.isfinite(columns) & (columns != 0)) > columns.size:
        return None
    x[~ok] = 0
    return x, ((~ok).view(np.uint8) if not ok.all() else None), mapping

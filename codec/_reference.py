"""The loops of the series codec in plain Python and numpy: slow, and meant to be read beside FORMAT.md, sections 6
to 8.

The compiled twin is _kernels.pyx; both satisfy backend.Backend and give the same bytes. Latents are (columns, steps).
Sums of integers wrap, at 32 or 64 bits; floats are float32 or float64, one operation after the other, never fused.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .backend import Latents, Mask
from .limits import BLOCK

NAME = "reference"
COEFFICIENTS = np.array([math.pow(math.log(2), i) / math.factorial(i) for i in range(14)])  # of 2**x about 0
TREND = 255
WINDOW, WINDOWS = 64, 8  # where predictors are tried
SERIES = [1 / 15, 1 / 13, 1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3, 1.0]
SQRT_HALF = 0x3FE6A09E667F3BCD  # bits of the float64 next to sqrt(1/2)
MANTISSA = 0x000FFFFFFFFFFFFF
NEAREST = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits


def crc32(data: bytes | memoryview, value: int = 0) -> int:
    """The CRC-32 of zlib, going on from value."""
    return zlib.crc32(data, value)


def exp2(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """2**x by the operations of FORMAT.md, so that every machine computes the same bits."""
    x = np.clip(x, -4096, 4096)  # beyond, all is zero or infinity
    whole = np.rint(x)
    part = x - whole
    y = np.full_like(part, COEFFICIENTS[13])
    for c in COEFFICIENTS[12::-1]:
        y = y * part + c
    # Times 2**whole, in two halves: each is a float, and only the second product can round.
    exponent = whole.astype(np.int64)
    half = exponent >> 1
    scaled: NDArray[np.float64] = y * power(half) * power(exponent - half)
    return scaled


def power(exponent: NDArray[np.int64]) -> NDArray[np.float64]:
    """2**exponent of small integers: below and above what a float holds, zero and infinity."""
    return (np.clip(exponent + 1023, 0, 2047) << 52).view(np.float64)


def exp_table(
    low: int, count: int, step: float, offset: float, coefficients: NDArray[np.float64]
) -> NDArray[np.float64]:
    """2**(x * step + offset) for x = low, low + 1, ...; coefficients: those of exp2."""
    return exp2(np.arange(low, low + count).astype(np.float64) * step + offset)


def order_bits(bits: NDArray[Any], shift: int, exponent: int, magnitude: int) -> tuple[Latents, Mask, int, int]:
    """Bits (steps, columns) of floats to integers in the order of the floats, shifted right.

    Marked are the words with all exponent bits (infinity, NaN) or without magnitude bits (zero).
    Also the range of the others.
    """
    signed = f"i{bits.itemsize}"
    i = np.ascontiguousarray(bits.T).view(signed)
    # A negative float has its magnitude inverted: then -1.0 < -0.5 holds for the integers too.
    x = (i ^ ((i >> (8 * bits.itemsize - 1)).view(bits.dtype) >> 1).view(signed)) >> shift
    special = ((bits.T & exponent) == exponent) | ((bits.T & magnitude) == 0)
    usual = x[~special]
    info = np.iinfo(x.dtype)
    low, high = (int(usual.min()), int(usual.max())) if usual.size else (int(info.max), int(info.min))
    return x, (np.ascontiguousarray(special).view(np.uint8) if special.any() else None), low, high


def log_quantise(values: NDArray[Any], step: float, low: float, high: float) -> tuple[Latents, bool, bool, int, int]:
    """rint(log2(|values|) / step), or the least int32 where |values| is not in [low, high].

    Returns (latents, whether any is outside, whether any value is negative, least and greatest latent inside).
    """
    with np.errstate(invalid="ignore"):  # a signalling NaN
        v = np.ascontiguousarray(values.T).astype(np.float64)
    negative = bool((v < 0).any())
    v = np.abs(v)
    inside = (v >= low) & (v <= high)
    bits = np.where(inside, v, 1.0).view(np.uint64) + np.uint64(0x3FF0000000000000 - SQRT_HALF)
    exponent = (bits >> np.uint64(52)).astype(np.float64) - 1023.0
    m = ((bits & np.uint64(MANTISSA)) + np.uint64(SQRT_HALF)).view(np.float64)  # in [sqrt(1/2), sqrt(2))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    y = np.full_like(z, SERIES[0])
    for term in SERIES[1:]:
        y = y * z + term
    y = (y * s * 2.8853900817779268 + exponent) * (1.0 / step) + NEAREST
    x = np.where(inside, y.view(np.uint64).astype(np.uint32).view(np.int32), np.int32(-(2**31)))
    if not inside.any():
        return x, x.size > 0, negative, 2**31 - 1, -(2**31 - 1)
    return x, not inside.all(), negative, int(x[inside].min()), int(x[inside].max())


def half_octave(magnitude: int) -> int:
    """Twice the bit length, and one more in the upper half of its octave: 0, 2, 4, 5, 6, 6, 7, 7, 8."""
    n = magnitude.bit_length()
    return 2 * n + (magnitude >> (n - 2) & 1) if n >= 2 else 2 * n


def fine_log(m: int) -> int:
    """Sixteen times the logarithm of m + 16 to base two, by straight lines between powers of two."""
    m = min(m + 16, (1 << 64) - 1)
    return 16 * m.bit_length() + (m >> (m.bit_length() - 5) & 15)


def wrap(value: int, bits: int) -> int:
    """value as a signed integer of so many bits."""
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def innovate(x: list[int], mask: list[int] | None, kind: int, bits: int) -> tuple[list[int], int]:
    """(what the past of one column leaves of it, its first unmarked latent). At a marked sample nothing is left, and
    nothing is learnt."""
    usual = [v for i, v in enumerate(x) if mask is None or not mask[i]]
    first = usual[0] if usual else 0
    left = []
    before, trend, state = first, 0, 0
    for i, value in enumerate(x):
        if mask is not None and mask[i]:
            left.append(0)
        elif kind == TREND:
            e = wrap(value - before - trend, bits)
            trend, before = wrap(trend + e, bits), value
            left.append(e)
        else:
            e = wrap(value - first - (state >> kind), bits)
            state = wrap(state + e, 64)
            left.append(e)
    return left, first


def choose(x: Latents, mask: Mask, candidates: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """For each column the predictor that leaves least, in windows like the blocks of a stream; the first of equals."""
    steps = x.shape[1]
    windows = max(min(-(-steps // WINDOW), WINDOWS), 1)
    kinds = np.zeros(len(x), np.uint8)
    for j in range(len(x)):
        costs = []
        for kind in candidates.tolist():
            cost = 0
            for w in range(windows):
                start = 0 if windows == 1 else w * (steps - WINDOW) // (windows - 1)
                marked = None if mask is None else mask[j, start : start + WINDOW].tolist()
                left, _ = innovate(x[j, start : start + WINDOW].tolist(), marked, kind, 8 * x.itemsize)
                if marked is None or not all(marked):
                    cost += fine_log(sum(abs(e) >> (0 if x.itemsize == 4 else 7) for e in left))
            costs.append(cost)
        kinds[j] = candidates[costs.index(min(costs))]
    return kinds


def innovations(x: Latents, kinds: NDArray[np.uint8], mask: Mask) -> tuple[Latents, Latents]:
    """(what each column's past leaves of it, perhaps written over x, first latents)."""
    out, firsts = np.zeros_like(x), np.zeros(len(x), x.dtype)
    for j in range(len(x)):
        marked = None if mask is None else mask[j].tolist()
        out[j], firsts[j] = innovate(x[j].tolist(), marked, int(kinds[j]), 8 * x.itemsize)
    return out, firsts


def gram(a: NDArray[np.int16]) -> NDArray[np.int64]:
    """a @ a.T, exact."""
    wide = a.astype(np.int64)
    product: NDArray[np.int64] = wide @ wide.T
    return product


def select(
    gram: NDArray[np.float64], noise: NDArray[np.float64], steps: float, most: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """For each column, at most `most` earlier columns that explain it best: forward selection by a pivoted Cholesky
    factor.

    Returns (starts, columns, weights): column j has columns[starts[j]:starts[j+1]], as they were chosen.
    """
    starts, columns, weights = [0], [], []
    for j in range(len(gram)):
        cov = gram[j, :j].copy()  # of each candidate with what is not explained yet
        own = np.diagonal(gram)[:j].copy()
        var = own.copy()  # of each candidate, less what the chosen ones explain of it
        left = float(gram[j, j] + noise[j])
        basis: list[NDArray[np.float64]] = []
        chosen: list[int] = []
        y: list[float] = []
        while len(chosen) < most:
            # A column that others already explain adds nothing but rounding.
            useful = (var > own * 1e-4) & (var > 0)
            gain = np.where(useful, cov * cov / np.where(useful, var, 1.0), 0.0)
            best = int(np.argmax(gain)) if j else 0
            if not j or gain[best] <= 0:
                break
            after = left - float(gain[best])
            # A reference costs about 24 bits; it saves half a bit a step for each factor of two in variance.
            if after <= 0 or left < after * (1.0 + 33.0 / steps):
                break
            root = np.sqrt(var[best])
            v = gram[best, :j].copy()
            for b in basis:
                v = v - b * b[best]
            v = v / root
            y.append(float(cov[best] / root))
            basis.append(v)
            cov = cov - y[-1] * v
            var = var - v * v
            var[best] = 0.0
            left = after
            chosen.append(best)
        # Back substitution: the basis restricted to the chosen columns is triangular.
        solved = [0.0] * len(chosen)
        for m in range(len(chosen) - 1, -1, -1):
            value = y[m]
            for i in range(m + 1, len(chosen)):
                value = value - float(basis[m][chosen[i]]) * solved[i]
            solved[m] = value / float(basis[m][chosen[m]])
        columns += chosen
        weights += solved
        starts.append(len(columns))
    return np.array(starts, np.int32), np.array(columns, np.int32), np.array(weights, np.float64)


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
    """The half octave of the sum of the magnitudes of a block, as if it had 128 steps."""
    size = 0
    for v in block.tolist():
        size = size + abs(v) if block.itemsize == 4 else (size + (abs(v) >> 7)) % (1 << 64) | (v != 0)
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
    streams: list[Latents], codes: NDArray[np.uint8], kinds: NDArray[np.uint8], firsts: Latents,
    starts: NDArray[np.int32], columns: NDArray[np.int32], weights: NDArray[np.float32], mask: Mask,
    needed: NDArray[np.uint8], table: NDArray[Any] | None, low: int, high: int, out: NDArray[Any],
) -> bool:  # fmt: skip
    """Writes to out (columns, steps) the latents of the needed columns, or what the table has for them.

    False if a latent is not in [low, high]: then out holds anything.
    """
    (count, steps), bits = out.shape, 8 * firsts.itemsize
    e = np.zeros((count, steps), firsts.dtype)
    at = [0] * len(streams)
    for j in range(count):
        for b, code in enumerate(codes[j].tolist()):
            if code:
                size = min(BLOCK, steps - b * BLOCK)
                e[j, b * BLOCK : b * BLOCK + size] = streams[code - 1][at[code - 1] : at[code - 1] + size]
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

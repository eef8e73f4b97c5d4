"""Samples to latents, and the magnitudes that latents stand for. FORMAT.md, section 6."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import Latents, Mask

COEFFICIENTS = np.array([math.pow(math.log(2), i) / math.factorial(i) for i in range(14)])  # of 2**x about 0
SERIES = [1 / 15, 1 / 13, 1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3, 1.0]
SQRT_HALF = 0x3FE6A09E667F3BCD  # bits of the float64 next to sqrt(1/2)
MANTISSA = 0x000FFFFFFFFFFFFF
NEAREST = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits


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

"""What the past of a column tells, and which earlier columns tell more. FORMAT.md, section 7."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import Latents, Mask

TREND = 255  # predictor kind: second difference; the others are k of a moving average with weight 2**-k
MAX_KIND = 16
MAX_REFS = 12
WINDOW, WINDOWS = 128, 8  # where predictors are tried
LONG_WINDOW, FEW = 2048, 4  # longer ones where there are few columns


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
    window = WINDOW if len(x) > FEW else LONG_WINDOW
    windows = max(min(-(-steps // window), WINDOWS), 1)
    kinds = np.zeros(len(x), np.uint8)
    for j in range(len(x)):
        costs = []
        for kind in candidates.tolist():
            cost = 0
            for w in range(windows):
                start = 0 if windows == 1 else w * (steps - window) // (windows - 1)
                marked = None if mask is None else mask[j, start : start + window].tolist()
                left, _ = innovate(x[j, start : start + window].tolist(), marked, kind, 8 * x.itemsize)
                if marked is None or not all(marked):
                    cost += fine_log(sum(abs(e) >> (0 if x.itemsize == 4 else 12) for e in left))
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


def read_plan(
    raw: bytes, columns: int, dtype: np.dtype[Any]
) -> tuple[NDArray[np.uint8], Latents, NDArray[np.int32], NDArray[np.int32], NDArray[np.int16]] | None:
    """(kinds, first latents, starts of the references of each column, references, weights); None unless every kind is
    known, every reference is to an earlier column, and the bytes are as many as they should be."""
    fixed = columns * (2 + dtype.itemsize)
    if len(raw) < fixed:
        return None
    kinds, firsts, counts = raw[:columns], raw[columns : fixed - columns], raw[fixed - columns : fixed]
    total = sum(counts)
    if len(raw) != fixed + 4 * total or max(counts, default=0) > MAX_REFS:
        return None
    if any(kind > MAX_KIND and kind != TREND for kind in kinds):
        return None
    low, high, low_weights, high_weights = (raw[fixed + i * total : fixed + (i + 1) * total] for i in range(4))
    references = [a + 256 * b for a, b in zip(low, high, strict=True)]
    weights = [wrap(a + 256 * b, 16) for a, b in zip(low_weights, high_weights, strict=True)]
    starts = np.concatenate([[0], np.cumsum(np.frombuffer(counts, np.uint8))]).astype(np.int32)
    if any(c >= j for j in range(columns) for c in references[starts[j] : starts[j + 1]]):
        return None
    return (
        np.frombuffer(kinds, np.uint8),
        np.frombuffer(firsts, dtype.newbyteorder("<")).astype(dtype),
        starts,
        np.array(references, np.int32),
        np.array(weights, np.int16),
    )

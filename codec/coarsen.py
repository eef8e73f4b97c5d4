"""Fewer steps that say the same: stretches with little change become one mean, steps with much change stay apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def variation(values: NDArray[Any]) -> NDArray[np.float64]:
    """How much each step (axis 0) differs from the one before, over all names, in units of each name's usual spread."""
    if values.size == 0:
        return np.zeros(len(values))
    v = values.astype(np.float64)
    finite = np.isfinite(v)
    with np.errstate(invalid="ignore", over="ignore"):
        spread = np.nanmax(np.where(finite, v, np.nan), axis=0, initial=-np.inf)
        spread = spread - np.nanmin(np.where(finite, v, np.nan), axis=0, initial=np.inf)
        change = np.abs(np.diff(v, axis=0, prepend=v[:1])) / np.where(spread > 0, spread, 1.0)
    # From finite to not, or back, is the greatest of changes.
    breaks = np.diff(finite, axis=0, prepend=finite[:1]) != 0
    change = np.where(breaks, 1e3, np.where(np.isfinite(change), change, 0.0))
    out: NDArray[np.float64] = change.max(axis=1)
    return out


def edges(changes: NDArray[np.float64], parts: int) -> NDArray[np.intp]:
    """First step of each of at most so many parts, of like variation: little change, long part. Any part has a step."""
    total = np.cumsum(np.minimum(changes, max(float(changes.sum()) / max(parts, 1), 1e-300)) + 1e-9)
    part = np.floor(total / total[-1] * parts * (1 - 1e-12))
    return np.append(0, np.flatnonzero(np.diff(part) > 0) + 1)[:parts]


def means(values: NDArray[Any], first: NDArray[np.intp]) -> NDArray[Any]:
    """Mean of each part, in the dtype of the values; not finite if a sample of it is not."""
    counts = np.diff(np.append(first, len(values)))[:, None]
    with np.errstate(invalid="ignore", over="ignore"):
        sums = np.add.reduceat(values.astype(np.float64), first, axis=0) / counts
        # One step alone is itself, to the bit.
        mean = np.rint(sums) if values.dtype.kind == "i" else sums
        return np.where(counts == 1, values[first], mean.astype(values.dtype))

"""Samples stored aside with their bits, as runs: a series that is NaN from some step on costs a few bytes.
FORMAT.md, section 6.4."""

from __future__ import annotations

from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from .backend import Mask
from .streams import expand
from .varint import Cursor, varint


def dump(mask: Mask, words: NDArray[Any]) -> bytes:
    """Runs of equal marked words (columns, steps) in column order; empty if there are none."""
    if mask is None:
        return b""
    at = np.flatnonzero(mask.ravel())
    if not len(at):
        return b""
    value = words.ravel()[at]
    new = np.ones(len(at), bool)
    new[1:] = (np.diff(at) != 1) | (value[1:] != value[:-1])
    first = np.flatnonzero(new)
    length = np.diff(np.append(first, len(at)))
    gap = np.diff(np.concatenate([[0], at[first] + length])) - length
    packed = b"".join(
        a.tobytes()
        for a in (gap.astype("<u4"), length.astype("<u4"), value[first].astype(value.dtype.newbyteorder("<")))
    )
    return varint(len(first)) + zstandard.compress(packed, 9)


def load(cursor: Cursor, shape: tuple[int, int], dtype: np.dtype[Any]) -> tuple[Mask, NDArray[Any]]:
    """(mask, the words of the marked samples in column order)."""
    if not cursor.left():
        return None, np.zeros(0, dtype)
    samples = shape[0] * shape[1]
    runs = cursor.varint(samples)
    packed = Cursor(expand(cursor, runs * (8 + dtype.itemsize)), base=cursor.base)
    gap = np.frombuffer(packed.take(4 * runs), "<u4").astype(np.int64)
    length = np.frombuffer(packed.take(4 * runs), "<u4").astype(np.int64)
    value = np.frombuffer(packed.take(dtype.itemsize * runs), dtype.newbyteorder("<")).astype(dtype)
    packed.done()
    total = int(length.sum())
    if int(gap.sum()) + total > samples:
        raise cursor.corrupt("samples stored aside lie outside the tile")
    mask = np.zeros(samples, np.uint8)
    # The position of a marked sample: its place among the marked, and all gaps up to its run.
    mask[np.arange(total) + np.repeat(np.cumsum(gap), length)] = 1
    return mask.reshape(shape), np.repeat(value, length)

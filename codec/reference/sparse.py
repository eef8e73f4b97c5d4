"""Values to their places in a dense array. FORMAT.md, section 9."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def fill(packed: NDArray[np.uint8], values: NDArray[Any], out: NDArray[Any], size: int, inner: int) -> bool:
    """Writes each value to the place of its bit (most significant first) in out, the elements of a tensor in C order.

    The bits are in C order after an axis of `size` elements, behind which there are `inner` elements in all, was moved to
    the end. False unless there are as many bits as values, and none beyond the elements: then out holds anything.
    """
    at = np.flatnonzero(np.unpackbits(packed))
    if len(at) != len(values) or (len(at) and at[-1] >= len(out)):
        return False
    out[places(at, size, inner)] = values
    return True


def collect(packed: NDArray[np.uint8], array: NDArray[Any], out: NDArray[Any], size: int, inner: int) -> None:
    """Undoes `fill`: writes to out the values that stand at the bits."""
    out[:] = array[places(np.flatnonzero(np.unpackbits(packed)), size, inner)]


def places(at: NDArray[np.int64], size: int, inner: int) -> NDArray[np.int64]:
    """In C order, of positions after the axis was moved to the end."""
    row, place = np.divmod(at, size)
    outer, behind = np.divmod(row, inner)
    found: NDArray[np.int64] = (outer * size + place) * inner + behind
    return found

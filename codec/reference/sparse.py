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
    row, place = np.divmod(at, size)
    outer, behind = np.divmod(row, inner)
    out[(outer * size + place) * inner + behind] = values
    return True

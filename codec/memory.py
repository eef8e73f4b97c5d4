"""Memory that a thread uses again for each tile: fresh pages cost more than what is computed in them."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LARGEST = 1 << 23  # bytes of a kept piece; there are four of them, so that a thread keeps at most 32 MB

_LOCAL = threading.local()


def room(slot: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array with any content. It is overwritten by the next call for the same slot in the same thread."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > LARGEST:
        return np.empty(shape, dtype)
    kept: dict[str, NDArray[np.uint8]] = _LOCAL.__dict__
    if slot not in kept or kept[slot].nbytes < size:
        kept[slot] = np.empty(size, np.uint8)
    return kept[slot][:size].view(dtype).reshape(shape)

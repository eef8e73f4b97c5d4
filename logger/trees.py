"""Norms of the leaves of a tree of arrays: nested dicts, lists and tuples as JAX and numpy users have them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALL = 1e-140  # below it squares lose bits, or are zero


def leaves(tree: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """(name, leaf) in the order of the tree; names are joined by dots. None is no leaf."""
    if depth > 100:
        raise ValueError("the tree is deeper than 100, or contains itself")
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key), depth + 1)
    elif isinstance(tree, (list, tuple)):
        # A NamedTuple, such as the states of optimizers in optax, has names for its parts.
        names = getattr(tree, "_fields", None) or range(len(tree))
        for key, value in zip(names, tree, strict=False):
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key), depth + 1)
    elif tree is not None:
        yield prefix or "value", tree


def norms(tree: Any) -> tuple[list[str], bytes]:
    """Names of the leaves, and the 2-norm of each as float64[n], little-endian; a scalar stands for its absolute value.

    Waits for the arrays of a device that are not computed yet.
    """
    import numpy as np

    names, values = [], []
    for name, leaf in leaves(tree):
        array = np.asarray(leaf)
        if array.dtype.kind not in "fiubc":
            array = array.astype(np.float64)  # bfloat16 and its like
        # In double precision, so that the norm of a large float16 leaf is not infinite.
        with np.errstate(all="ignore"):
            wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64, copy=False)
            names.append(name)
            values.append(_norm(wide.ravel().view(np.float64)))
    return names, np.asarray(values, dtype="<f8").tobytes()


def _norm(flat: NDArray[np.float64]) -> float:
    import numpy as np

    found = float(np.linalg.norm(flat))
    if SMALL < found < math.inf:
        return found
    # Squares beyond what a float holds: the norm may be within it all the same.
    greatest = float(np.abs(flat).max(initial=0))
    return greatest * float(np.linalg.norm(flat / greatest)) if 0 < greatest < math.inf else found

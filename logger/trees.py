"""Norms of the leaves of a tree of arrays: nested dicts, lists and tuples as JAX and numpy users have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


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
        wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64, copy=False)
        names.append(name)
        values.append(float(np.linalg.norm(wide.ravel())))
    return names, np.asarray(values, dtype="<f8").tobytes()

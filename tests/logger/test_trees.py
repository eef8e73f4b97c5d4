"""Norms of trees of arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from tracewinnow.logger.trees import leaves, norms


class Pair(NamedTuple):
    mean: Any
    var: Any


def test_names_and_norms() -> None:
    tree = {
        "layers": [{"w": np.array([3.0, 4.0], np.float32)}, {"w": np.full(4, 30000, np.float16)}],
        "opt": Pair(np.array(-2), None),
        "empty": np.zeros(0),
        "complex": np.array([3 + 4j]),
    }
    names, data = norms(tree)
    assert names == ["layers.0.w", "layers.1.w", "opt.mean", "empty", "complex"]
    assert np.frombuffer(data, "<f8").tolist() == [5.0, 60000.0, 2.0, 0.0, 5.0]


def test_nan_and_infinity_stay() -> None:
    _, data = norms([np.array([np.nan, 1.0]), np.array([np.inf])])
    assert np.isnan(np.frombuffer(data)[0])
    assert np.isinf(np.frombuffer(data)[1])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e200, 1e-200, 5e-324, 1.0])
def test_squares_beyond_a_float(scale: float) -> None:
    _, data = norms([np.array([3, -4]) * scale, np.array([3 + 4j]) * scale, np.zeros(2)])
    assert np.frombuffer(data).tolist() == pytest.approx([5 * scale, 5 * scale, 0], rel=1e-15)


@pytest.mark.filterwarnings("error")
def test_a_norm_beyond_a_float() -> None:
    _, data = norms([np.full(9, 1e308), np.array([1e308, np.nan]), np.array([1e308, -np.inf])])
    assert np.frombuffer(data)[[0, 2]].tolist() == [np.inf, np.inf]
    assert np.isnan(np.frombuffer(data)[1])


def test_a_single_array() -> None:
    assert norms(np.array([1.0]))[0] == ["value"]


def test_a_tree_that_contains_itself() -> None:
    tree: list[Any] = []
    tree.append(tree)
    with pytest.raises(ValueError, match="contains itself"):
        list(leaves(tree))

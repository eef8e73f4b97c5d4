"""The head of the denoiser, against the formula written out."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.transforms import head as heads
from tracewinnow.transforms.head import Head, linear


def test_hidden_units_see_the_features_within_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    n, features, units = 7, 5, 3
    parts = [(features, 4), 4, features, features, (features, units), units, (units, 4)]
    weights, bias, low, high, hidden, threshold, out = (rng.normal(size=size).astype(np.float32) for size in parts)
    low, high = np.minimum(low, high), np.maximum(low, high)
    table = rng.normal(0, 3, (n, features)).astype(np.float32)
    want = np.empty((n, 4))
    for row, x in enumerate(table.astype(np.float64)):
        active = [
            max(0.0, sum(np.minimum(np.maximum(x, low), high) * hidden[:, k]) + threshold[k]) for k in range(units)
        ]
        want[row] = x @ weights + bias + np.array(active) @ out
    head = Head(weights, bias, low, high, hidden, threshold, out)
    np.testing.assert_allclose(head.logits(table), want, atol=1e-5)
    monkeypatch.setattr(heads, "AT_ONCE", 2)  # what is in memory together changes nothing
    np.testing.assert_allclose(head.logits(table), want, atol=1e-5)
    assert head.logits(table[:0]).shape == (0, 4)


def test_without_hidden_units_it_is_linear() -> None:
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    weights = np.ones((3, 4), np.float32)
    found = linear(weights, np.arange(4, dtype=np.float32)).logits(table)
    np.testing.assert_array_equal(found, [[3, 4, 5, 6], [12, 13, 14, 15]])

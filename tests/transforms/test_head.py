"""The head of the denoiser, against the formula written out."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow.transforms import head as heads
from tracewinnow.transforms.head import Head, linear, reach_of
from tracewinnow.transforms.score import product


def drawn(rng: np.random.Generator, features: int, nets: int, units: int, layers: int) -> Head:
    """A head of random weights."""
    sizes = [
        (features,), (features,), (features, 4), (4,), (nets, features, units), (nets, units), (nets, layers, 3 * units, units),
        (nets, layers, units), (nets, units, 4),
    ]  # fmt: skip
    parts = [rng.normal(size=size).astype(np.float32) for size in sizes]
    return Head(np.minimum(*parts[:2]), np.maximum(*parts[:2]), *parts[2:])


def test_a_unit_sees_its_line_and_those_at_the_layers_distances() -> None:
    rng = np.random.default_rng(0)
    n, units, layers = 7, 3, 2
    head = drawn(rng, 5, 2, units, layers)
    table = rng.normal(0, 3, (n, 5)).astype(np.float32)
    want = np.empty((n, 4))
    cut = np.minimum(np.maximum(table.astype(np.float64), head.low), head.high)
    for row in range(n):
        want[row] = cut[row] @ head.weights + head.bias
    for net in range(2):
        h = np.array(
            [[max(0.0, x @ head.entry[net][:, k] + head.entry_bias[net][k]) for k in range(units)] for x in cut]
        )
        for layer in range(layers):
            before = h.copy()
            for row in range(n):
                for k in range(units):
                    total = float(head.tap_bias[net][layer][k])
                    for tap, at in enumerate((row - 2**layer, row, row + 2**layer)):
                        if 0 <= at < n:
                            total += float(before[at] @ head.taps[net][layer][tap * units : (tap + 1) * units, k])
                    h[row, k] += max(0.0, total)
        want += h @ head.out[net]
    np.testing.assert_allclose(head.logits(table), want, rtol=1e-4, atol=1e-4)
    assert head.logits(table[:0]).shape == (0, 4)


def test_what_is_in_memory_together_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    head = drawn(rng, 4, 1, 2, 3)
    table = rng.normal(size=(40, 4)).astype(np.float32)
    whole = head.logits(table)
    for size in (1, 5, 39, 40):
        monkeypatch.setattr(heads, "AT_ONCE", size)
        np.testing.assert_allclose(head.logits(table), whole, rtol=1e-4, atol=1e-4)


@given(st.integers(0, 40), st.integers(0, 39))
def test_a_line_is_seen_as_far_as_it_says(n: int, at: int) -> None:
    head = drawn(np.random.default_rng(2), 2, 1, 4, 3)
    table = np.zeros((n + 1, 2), np.float32)
    before = head.logits(table)
    at = min(at, n)
    table[at] = 3
    changed = np.flatnonzero((head.logits(table) != before).any(axis=1))
    assert at in changed
    assert np.abs(changed - at).max() <= reach_of(3) == 7


def test_without_networks_it_is_linear() -> None:
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    weights = np.ones((3, 4), np.float32)
    found = linear(weights, np.arange(4, dtype=np.float32)).logits(table)
    np.testing.assert_array_equal(found, [[3, 4, 5, 6], [12, 13, 14, 15]])


def test_a_product_is_the_same_with_one_thread_and_with_two() -> None:
    code = (
        "import numpy as np, hashlib; from tracewinnow.transforms.score import product; r = np.random.default_rng(0)\n"
        "for n in (0, 1, 500, 5000):\n"
        "    made = product(r.normal(size=(n, 123)).astype('f4'), r.normal(size=(123, 128)).astype('f4'))\n"
        "    print(made.shape, made.dtype, hashlib.sha256(made.tobytes()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "OPENBLAS_NUM_THREADS": threads}, capture_output=True, text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }  # fmt: skip
    assert len(printed) == 1
    assert "(5000, 128) float32" in printed.pop()


def test_a_product_is_the_product() -> None:
    draw = np.random.default_rng(1)
    table, weights = (draw.normal(size=size).astype(np.float32) for size in ((37, 9), (9, 4)))
    np.testing.assert_allclose(product(table, weights), table @ weights, rtol=1e-5, atol=1e-6)

"""The head of the denoiser, against the formula written out."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tracewinnow.transforms import head as heads
from tracewinnow.transforms.head import Head
from tracewinnow.transforms.score import product


def test_hidden_units_see_the_features_within_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    n, features, units = 7, 5, 3
    low, high, hidden, threshold, out, bias = (
        rng.normal(size=size).astype(np.float32)
        for size in (features, features, (features, units), units, (units, 4), 4)
    )
    low, high = np.minimum(low, high), np.maximum(low, high)
    table = rng.normal(0, 3, (n, features)).astype(np.float32)
    want = np.empty((n, 4))
    for row, x in enumerate(table.astype(np.float64)):
        active = [
            max(0.0, sum(np.minimum(np.maximum(x, low), high) * hidden[:, k]) + threshold[k]) for k in range(units)
        ]
        want[row] = np.array(active) @ out + bias
    head = Head(low, high, hidden, threshold, out, bias)
    np.testing.assert_allclose(head.logits(table), want, atol=1e-5)
    monkeypatch.setattr(heads, "AT_ONCE", 2)  # what is in memory together changes nothing
    np.testing.assert_allclose(head.logits(table), want, atol=1e-5)
    assert head.logits(table[:0]).shape == (0, 4)


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
    for n, k, m in ((0, 9, 4), (37, 9, 4), (5000, 90, 40), (3, 600, 600)):
        table, weights = (draw.normal(size=size).astype(np.float32) for size in ((n, k), (k, m)))
        np.testing.assert_allclose(product(table, weights), table @ weights, rtol=1e-4, atol=1e-4)

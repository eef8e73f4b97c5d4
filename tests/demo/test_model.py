"""The model of the demo's job learns, and its gradients are right."""

from __future__ import annotations

import numpy as np

from demo.model import CONTEXT, ByteModel, Momentum


def test_gradients_agree_with_differences() -> None:
    model = ByteModel(seed=1)
    windows = np.random.default_rng(0).integers(0, 256, (16, CONTEXT + 1), np.uint8)
    _, gradients = model.loss(windows)
    for name, tensor in model.tensors.items():
        direction = np.random.default_rng(2).standard_normal(tensor.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)
        step = np.float32(1e-2)
        model.tensors[name] = tensor + step * direction
        above, _ = model.loss(windows)
        model.tensors[name] = tensor - step * direction
        below, _ = model.loss(windows)
        model.tensors[name] = tensor
        np.testing.assert_allclose(
            (above - below) / (2 * step), (gradients[name] * direction).sum(), rtol=0.05, atol=2e-4
        )


def test_it_learns() -> None:
    model = ByteModel(seed=1)
    optimizer = Momentum(model)
    windows = np.tile(np.arange(CONTEXT + 1, dtype=np.uint8), (32, 1))
    before, _ = model.loss(windows)
    for _ in range(20):
        optimizer.step(model.loss(windows)[1], 0.05)
    after, _ = model.loss(windows)
    assert after < before / 4


def test_flatten_and_back() -> None:
    model = ByteModel(seed=1)
    back = model.unflatten(model.flatten(model.tensors))
    assert all((back[name] == tensor).all() for name, tensor in model.tensors.items())

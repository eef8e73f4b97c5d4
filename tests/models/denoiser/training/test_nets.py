"""The networks as they are fitted are those that the head computes, and they see what stands around a line."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.models.denoiser.training import nets
from tracewinnow.transforms.head import Head


def test_the_head_computes_what_was_fitted() -> None:
    rng = np.random.default_rng(0)
    w = nets.begun(6, rng)
    parts = {name: w[name][None] for name in ("entry", "entry_bias", "taps", "tap_bias", "out")}
    far = np.full(6, 100, np.float32)
    head = Head(low=-far, high=far, weights=w["weights"], bias=w["bias"], **parts)
    runs = [rng.normal(size=(n, 6)).astype(np.float32) for n in (1, 5, 40)]
    rows = np.concatenate([np.concatenate([np.arange(len(run)), np.full(8, -1)]) for run in runs])
    x = np.concatenate([np.concatenate([run, np.zeros((8, 6), np.float32)]) for run in runs])
    inside = (rows >= 0).astype(np.float32)[:, None]
    kept = [np.ones_like(x), *[np.ones((len(x), nets.UNITS), np.float32)] * (nets.LAYERS + 1)]
    said = nets.forward(w, x, inside, kept)
    np.testing.assert_allclose(
        said[rows >= 0], np.concatenate([head.logits(run) for run in runs]), rtol=1e-4, atol=1e-4
    )


def test_they_learn_what_the_lines_around_say() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal(3, 2, (4000, 3)).astype(np.float32)
    label = (np.roll(table[:, 1], 2) > 3).astype(np.int64)  # of the line two before
    unread = rng.random(4000) < 0.3
    label[unread] = -1
    runs = np.arange(0, 4001, 50)
    head = nets.fit_nets(table, label, np.ones(4000), runs)
    later = rng.normal(3, 2, (400, 3)).astype(np.float32)
    want = (np.roll(later[:, 1], 2) > 3)[2:]
    assert ((head.logits(later)[2:, 1] > head.logits(later)[2:, 0]) == want).mean() > 0.85


def test_a_feature_that_never_varied_is_not_heard_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nets, "STEPS", 5)
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.normal(0, 1, 400), np.zeros(400)]).astype(np.float32)
    head = nets.fit_nets(table, rng.integers(0, 4, 400), np.ones(400), np.array([0, 100, 400]))
    changed = table + np.array([0, 1], np.float32)
    np.testing.assert_allclose(head.logits(changed), head.logits(table), atol=1e-5)


def test_batches_hold_every_line_once() -> None:
    runs = np.array([0, 3, 1000, 5000, 5001])
    found = list(nets.batches(runs, np.random.default_rng(0)))
    rows = np.concatenate(found)
    np.testing.assert_array_equal(np.sort(rows[rows >= 0]), np.arange(5001))
    for some in found:
        assert (some >= 0).sum() < nets.BATCH + nets.LONGEST
        ends = np.flatnonzero(np.diff(some) != 1)
        assert all(some[at] == -1 or some[at + 1] == -1 for at in ends)

"""The head as it is fitted is the mean of the models that it is made of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from tracewinnow.models.denoiser.training import fit
from tracewinnow.transforms.features import probabilities


def test_the_head_is_the_mean_of_its_models() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(3, [0.1, 1, 5, 2], (600, 4)).astype(np.float32)
    label, weight = rng.integers(0, 4, 600), rng.random(600) + 0.5
    mean, deviation = table.mean(axis=0), table.std(axis=0) + 1e-2
    scaled = np.clip((table - mean) / deviation, -fit.CUT, fit.CUT)
    epochs = -(-fit.STEPS * fit.BATCH // len(table))
    assert epochs > fit.EPOCHS
    said = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for number in range(fit.NETS):
            net = MLPClassifier(
                (fit.HIDDEN,), alpha=fit.DECAY, batch_size=min(fit.BATCH, 600), learning_rate_init=fit.RATE, max_iter=epochs,
                random_state=3 + number,
            )  # fmt: skip
            said.append(net.fit(scaled, label, sample_weight=weight).predict_log_proba(scaled))
    want = fit.SURENESS * np.mean(said, axis=0)
    found = fit.fit_head([table], label, weight, seed=3).logits(table)
    np.testing.assert_allclose(probabilities(found), probabilities(want.astype(np.float32)), atol=1e-5)


def test_a_feature_that_never_varied_is_not_heard_later() -> None:
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.normal(0, 1, 400), np.zeros(400)]).astype(np.float32)
    head = fit.fit_head([table], rng.integers(0, 4, 400), np.ones(400))
    changed = table + np.array([0, 1], np.float32)
    np.testing.assert_allclose(head.logits(changed), head.logits(table), atol=1e-2)


@pytest.mark.parametrize("classes", [(0, 1, 2), (1, 3)])
def test_a_class_that_was_never_seen_is_never_said(classes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(0, 1, (200, 3)).astype(np.float32)
    label = np.array(classes)[(table[:, 0] > 0).astype(int)]
    label[::10] = classes[-1]
    head = fit.fit_head([table], label, np.ones(200))
    said = probabilities(head.logits(table))
    assert said[:, [one for one in range(4) if one not in classes]].max() < 1e-3
    assert (said.argmax(axis=1) == label).mean() > 0.8

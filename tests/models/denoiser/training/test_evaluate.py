"""Figures over predictions: each by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.models.denoiser.training.evaluate import (
    TIME_OUT,
    Judged,
    calibration,
    failures,
    figures,
    heard,
    interval,
    paired,
)


def judged(said: list[int], label: list[int], sure: float = 0.7) -> Judged:
    n = len(said)
    probability = np.full((n, 4), (1 - sure) / 3)
    probability[np.arange(n), said] = sure
    return Judged(
        probability, np.array(label), np.arange(n) // 2, np.array(["a", "b"] * n)[:n],
        np.arange(n) % 2 == 0, np.arange(n) == 0, np.arange(n) == n - 1,
        np.array([f"line {number} | `x`" for number in range(n)], object),
    )  # fmt: skip


def test_figures_by_hand() -> None:
    found = figures(judged(said=[0, 0, 1, 3], label=[0, 1, 1, 3]))
    assert found["accuracy"] == 0.75
    assert found["actionable_precision"] == 0.5
    assert found["actionable_recall"] == 1
    assert found["time_out_recall"] == 1
    assert found["healthy_called_actionable"] == 0
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)  # no segment is metadata


def test_calibration_error_is_the_gap() -> None:
    right = np.array([True] * 7 + [False] * 3)
    assert calibration(np.full(3000, 0.7), np.tile(right, 300)) == pytest.approx(0, abs=1e-3)
    assert calibration(np.full(3000, 0.9), np.tile(right, 300)) == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize(
    "text", ["TimeoutError: x", "timed out", "the job hangs", "rank 3 hung", "Gateway Time-out", "no progress"]
)
def test_a_time_out(text: str) -> None:
    assert TIME_OUT.search(text)


@pytest.mark.parametrize("text", ["ok=3 changed=2", "Changes not staged", "an exchange"])
def test_no_time_out(text: str) -> None:
    assert not TIME_OUT.search(text)


def test_an_interval_holds_its_figure_and_repeats() -> None:
    some = judged(said=[0, 1, 2, 3] * 10, label=[0, 1, 2, 2] * 10)
    found = interval(some, draws=100)
    low, high = found["accuracy"]
    assert low < figures(some)["accuracy"] < high
    assert found["accuracy"] == interval(some, draws=100)["accuracy"]


def test_failures_are_the_surest_mistakes_of_the_source_asked_for() -> None:
    found = failures(judged(said=[0, 0, 1, 3, 2, 2], label=[0, 1, 1, 3, 3, 3]), source="a")
    assert [(one["label"], one["said"], one["line"]) for one in found] == [("n", "m", "line 4 | `x`")]


def test_a_gain_over_itself_is_none() -> None:
    one = judged(said=[0, 0, 1, 3], label=[0, 1, 1, 3])
    assert paired(one, one, draws=5)["accuracy"] == [0, 0, 0]


def test_the_encoder_is_heard_where_the_fast_model_is_in_doubt() -> None:
    one = judged(said=[0, 0, 1, 3], label=[0, 1, 1, 3])
    one.probability[1] = [0.3, 0.3, 0.2, 0.2]
    said = np.zeros((4, 4), np.float32)
    said[:, 2] = 5
    both = heard(one, said, doubt=0.5)
    assert both.probability[1].argmax() == 2
    np.testing.assert_array_equal(both.probability[[0, 2, 3]], one.probability[[0, 2, 3]])

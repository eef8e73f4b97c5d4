"""Training for real, from the scenes: the same seed gives the same file, and the file does what it was fitted for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tracewinnow.models import registry
from tracewinnow.models.denoiser.training import evaluate, run
from tracewinnow.models.denoiser.training.dataset import study
from tracewinnow.models.denoiser.training.fit import arrays, fit, lines_of
from tracewinnow.transforms import judge as judging
from tracewinnow.transforms.reading import read
from tracewinnow.transforms.score import score

LOG = [
    "starting epoch 1",
    "step 1 loss 0.5",
    "Traceback (most recent call last):",
    '  File "t.py", line 3, in f',
    "ValueError: bad",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("model")
    return out, run.train(None, out, seed=3, quick=True, tell=lambda said: None)


def test_figures_stand_beside_the_model(trained: tuple[Path, dict[str, Any]]) -> None:
    out, figures = trained
    assert run.again(out) == figures
    assert figures["all"]["accuracy"] > 0.5  # four classes, the largest of which is 40 %
    assert figures["all"]["actionable_recall"] > 0.4
    assert figures["interval"]["accuracy"][0] <= figures["all"]["accuracy"] <= figures["interval"]["accuracy"][1]
    assert "| all |" in (out / "CARD.md").read_text()
    assert (out / "reliability.svg").read_text().startswith("<?xml")


def test_the_file_gives_what_was_fitted(trained: tuple[Path, dict[str, Any]]) -> None:
    loaded = judging.load(registry.arrays(judging.FILE, trained[0]))
    found = run.gather(None, quick=True)
    lines = lines_of(found)
    with threadpool_limits(1, user_api="blas"):  # as in a training: with more the sums differ
        fitted = fit(found, lines, np.arange(len(lines.label)), seed=3)
    shipped = registry.arrays(judging.FILE, trained[0])
    for name, ours in arrays(fitted).items():
        np.testing.assert_array_equal(shipped[name], ours, err_msg=name)
    reading = read([LOG[0], *(f"step {i} loss {1 / i:.3f}" for i in range(1, 40)), *LOG[2:]])
    actionable = loaded.classes(reading, score(reading.view))[:, 0]
    assert actionable[-3:].min() > actionable[:-3].max()


def test_a_healthy_reference_takes_the_alarm_away(trained: tuple[Path, dict[str, Any]]) -> None:
    from tracewinnow.transforms.denoise import denoise

    loaded = judging.load(registry.arrays(judging.FILE, trained[0]))
    reading = read(LOG)
    usual = np.ones(len(LOG), np.float32)
    classes = loaded.classes(reading, score(reading.view))
    assert (denoise(reading, score(reading.view), usual, [], False, classes).label == 3).all()


def test_a_log_of_one_class_can_be_judged(trained: tuple[Path, dict[str, Any]]) -> None:
    loaded = judging.load(registry.arrays(judging.FILE, trained[0]))
    for lines in ([], [""], ["x"], ["\udcff"] * 3):
        reading = read(lines)
        p = loaded.classes(reading, score(reading.view))
        assert p.shape == (len(lines), 4)
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


def test_figures_of_another_model_are_refused(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    for file in trained[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    figures = json.loads((tmp_path / "figures.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    figures["model"]["sha256"] = "0" * 64
    (tmp_path / "figures.json").write_text(json.dumps(figures))
    with pytest.raises(registry.ModelUnavailable, match="of another model"):
        run.again(tmp_path)


def test_what_is_no_number_is_none() -> None:
    assert run.told({"a": float("nan"), "b": [1.0, float("nan")], "c": "x"}) == {"a": None, "b": [1.0, None], "c": "x"}


def test_missing_figures_are_said(tmp_path: Path) -> None:
    with pytest.raises(registry.ModelUnavailable):
        run.again(tmp_path)


def test_what_nobody_labelled_is_not_counted() -> None:
    empty = study([], Path("none"))
    assert empty.samples == []
    assert np.isnan(evaluate.share(np.zeros(0, bool)))

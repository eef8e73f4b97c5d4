"""The trained judge: the shipped file fits this version; without one the rules answer, and the result says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tracewinnow
from tracewinnow.models import registry
from tracewinnow.transforms import features, preprocess
from tracewinnow.transforms import judge as judging
from tracewinnow.transforms.judge import Judge, judge, load
from tracewinnow.transforms.reading import read
from tracewinnow.transforms.score import score

LOG = [
    "numpy==1.26.4",
    *(f"step {i} loss {1 / (i + 1):.4f}" for i in range(50)),
    "Traceback (most recent call last):",
    '  File "/app/train.py", line 12, in main',
    "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB",
]


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    judge.cache_clear()
    yield
    judge.cache_clear()


def test_the_shipped_file_is_loaded_and_judges_a_block_alike() -> None:
    model = judge()
    assert isinstance(model, Judge)
    reading = read(LOG)
    p = model.classes(reading, score(reading.view))
    assert p.shape == (len(LOG), 4)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert (p[-3:, 0] > 0.5).all()
    np.testing.assert_array_equal(p[-3], p[-1])
    assert (p[1:40, 0] < 0.2).all()


def test_the_result_names_the_model() -> None:
    model = judge()
    assert isinstance(model, Judge)
    result = tracewinnow.winnow("\n".join(LOG))
    assert result.versions["denoiser"] == model.version
    assert not [note for note in result.notes if note.stage == "denoise"]


def test_the_rules_answer_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with_model = tracewinnow.winnow("\n".join(LOG))
    judge.cache_clear()
    monkeypatch.setenv("TRACEWINNOW_DENOISER", "rules")
    result = tracewinnow.winnow("\n".join(LOG))
    assert result.versions["denoiser"] == "rules"
    assert [(note.what, "TRACEWINNOW_DENOISER" in note.reason) for note in result.notes if note.stage == "denoise"] == [
        ("fallback", True)
    ]
    assert "CUDA out of memory" in result.text
    assert result.content_address != with_model.content_address


@pytest.mark.parametrize(
    "part", ["text_weights", "text_bias", "signal_weights", "low", "hidden", "threshold", "out", "bias"]
)
def test_arrays_that_do_not_fit_are_no_model(part: str) -> None:
    found = registry.arrays("denoiser.npz")
    with pytest.raises(registry.ModelUnavailable, match="fit"):
        load({**found, part: found[part][:-1]})


@pytest.mark.parametrize("damage", ["absent", "changed"])
def test_the_rules_answer_where_the_file_is_not_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    if damage == "changed":
        for file in registry.FOLDER.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / "denoiser.npz").write_bytes(b"x")
    monkeypatch.setattr(preprocess, "judge", lambda: judge(tmp_path))
    result = tracewinnow.winnow("\n".join(LOG))
    assert result.versions["denoiser"] == "rules"
    assert [note.what for note in result.notes if note.stage == "denoise"] == ["fallback"]
    assert "CUDA out of memory" in result.text


def test_a_file_made_for_other_features_is_refused() -> None:
    arrays = registry.arrays(judging.FILE)
    with pytest.raises(registry.ModelUnavailable, match="feature names"):
        judging.load({**arrays, "feature_names": np.array(["x"])})
    with pytest.raises(registry.ModelUnavailable, match="lacks"):
        judging.load({name: value for name, value in arrays.items() if name != "bias"})


def test_features_have_the_names_they_have() -> None:
    reading = read(LOG)
    n = len(LOG)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 4)).astype(np.float32)
    zeros = np.zeros(n, np.float32)
    table = features.features(reading.view, logits, zeros, zeros)
    assert table.shape == (n, len(features.names()))
    assert len(set(features.names())) == len(features.names())
    assert np.isfinite(table).all()


def test_windows_leave_the_line_itself_out() -> None:
    p = np.eye(4, dtype=np.float32)[[0, 1, 2, 3]]
    np.testing.assert_allclose(
        features.window_mean(p, 2, ahead=False)[[0, 1, 3]],
        [[0] * 4, [1, 0, 0, 0], [0, 0.5, 0.5, 0]],
    )
    np.testing.assert_allclose(features.window_mean(p, 2, ahead=True)[[3, 2]], [[0] * 4, [0, 0, 0, 1]])
    np.testing.assert_allclose(features.following(np.array([1, 3, 2], np.float32)), [3, 2, 0])

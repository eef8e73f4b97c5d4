"""The second look: at what is in doubt alone, the same for blocks of a kind, and never silently left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import tracewinnow
from tracewinnow.models import registry
from tracewinnow.models.denoiser.encoder import Encoder
from tracewinnow.transforms import reread as again
from tracewinnow.transforms.reading import read
from tracewinnow.transforms.reread import DOUBT, doubtful, encoder, fused, reread
from tracewinnow.transforms.score import score

LOG = ["alpha starts", "beta fails", "alpha starts", "", "gamma rests", "beta fails"]
FAILED = [
    "numpy==1.26.4",
    "Traceback (most recent call last):",
    '  File "/app/t.py", line 3, in f',
    "ValueError: bad shape",
]


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    again._load.cache_clear()
    yield
    again._load.cache_clear()


def opinions(*likeliest: float) -> np.ndarray:
    """Probabilities whose last class has the given one."""
    return np.array([[(1 - one) / 3] * 3 + [one] for one in likeliest], np.float32)


def test_kinds_of_blocks_in_doubt_come_with_the_greatest_doubt_first(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = read(LOG)
    p = opinions(0.6, 0.4, 0.5, 0.3, DOUBT + 0.01, 0.4)
    kinds = doubtful(reading.view, p)
    assert [[lines.tolist() for lines in blocks] for blocks in kinds] == [
        [[1], [5]],
        [[0], [2]],
    ]  # the blank line is not read
    monkeypatch.setattr(again, "MOST_OF_SHORT", 1)
    assert [[lines.tolist() for lines in blocks] for blocks in doubtful(reading.view, p)] == [[[1], [5]]]


def test_a_kind_is_read_once_where_it_first_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, model = read(LOG), encoder()
    assert isinstance(model, Encoder)
    asked: list[str] = []
    logits = model.logits

    def spy(passages: Sequence[tuple[str, str, str]], known: np.ndarray) -> np.ndarray:
        asked.extend(one[0] for one in passages)
        return logits(passages, known)

    monkeypatch.setattr(model, "logits", spy)
    p = opinions(0.6, 0.4, 0.5, 0.3, 0.99, 0.4)
    told = reread(model, reading, score(reading.view), p)
    assert asked == ["beta fails", "alpha starts"]
    np.testing.assert_array_equal(told[[3, 4]], p[[3, 4]])
    np.testing.assert_array_equal(told[1], told[5])
    np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-5)
    monkeypatch.setattr(again, "MOST_OF_SHORT", 1)
    asked.clear()
    fewer = reread(model, reading, score(reading.view), p)
    assert asked == ["beta fails"]
    np.testing.assert_array_equal(fewer[[0, 2]], p[[0, 2]])
    monkeypatch.setattr(again, "SHORT", len(LOG))
    asked.clear()
    reread(model, reading, score(reading.view), p)
    assert asked == ["beta fails", "alpha starts"]


def test_nothing_in_doubt_is_nothing_read() -> None:
    reading = read(LOG)
    p = opinions(*[DOUBT] * 6)
    assert reread(None, reading, score(reading.view), p) is p  # type: ignore[arg-type]
    empty = read([])
    assert reread(None, empty, np.zeros(0, np.float32), np.zeros((0, 4), np.float32)).shape == (0, 4)  # type: ignore[arg-type]


def test_two_alike_opinions_are_no_surer_than_one() -> None:
    p = opinions(0.4, 0.7)
    np.testing.assert_allclose(fused(p, np.log(p)), p, rtol=1e-5)


def test_the_encoder_never_makes_a_line_less_actionable() -> None:
    fast = np.array([[0.5, 0.1, 0.1, 0.3], [0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]], np.float32)
    said = np.log(np.array([[0.01, 0.9, 0.05, 0.04], [0.9, 0.05, 0.03, 0.02], [0.0, 0.5, 0.3, 0.2]], np.float32) + 1e-9)
    found = fused(fast, said)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found[[0, 2], 0], fast[[0, 2], 0])
    assert found[0, 1] > fast[0, 1]
    assert found[1, 0] > fast[1, 0]


def test_of_two_opinions_the_surer_is_heard_more() -> None:
    p = opinions(0.4)
    other = np.log(np.roll(opinions(0.95), 1, axis=1))
    assert fused(p, other).argmax() == other.argmax() != p.argmax()


def test_the_result_names_the_encoder() -> None:
    model = encoder()
    assert isinstance(model, Encoder)
    result = tracewinnow.winnow("\n".join(FAILED))
    assert result.versions["encoder"] == model.version
    assert not [note for note in result.notes if note.stage == "denoise"]


def test_without_it_the_fast_model_answers_and_the_result_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEWINNOW_DENOISER", "fast")
    result = tracewinnow.winnow("\n".join(FAILED))
    assert "encoder" not in result.versions
    assert result.versions["denoiser"] != "rules"
    assert [note.reason for note in result.notes if note.stage == "denoise"] == ["TRACEWINNOW_DENOISER says fast"]


def test_an_absent_file_is_a_reason(tmp_path: Path) -> None:
    assert "encoder.onnx" in str(encoder(tmp_path))


def test_an_encoder_of_other_signals_is_none(tmp_path: Path) -> None:
    words = registry.arrays("words.npz")
    registry.put("encoder.onnx", registry.content("encoder.onnx"), {}, tmp_path)
    registry.save("words.npz", {**words, "known_names": words["known_names"][:-1]}, {}, tmp_path)
    assert "other signals" in str(encoder(tmp_path))


def test_a_word_in_the_environment_that_nobody_knows_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEWINNOW_DENOISER", "RULES")
    assert "'RULES': give 'rules' or 'fast'" in str(encoder(tmp_path))

"""The text model: what is remembered is what would be worked out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow.models.denoiser import text_model
from tracewinnow.models.denoiser.ngrams import BUCKETS
from tracewinnow.models.denoiser.text_model import TextModel


@pytest.fixture(scope="module")
def model() -> TextModel:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(BUCKETS, 4)).astype(np.float32)
    return TextModel(weights, np.arange(4, dtype=np.float32), np.zeros((3, 4), np.float32))


@given(texts=st.lists(st.binary(max_size=40), max_size=8))
def test_cache_changes_nothing(model: TextModel, texts: list[bytes]) -> None:
    np.testing.assert_array_equal(model.logits(texts), model.unseen(texts))
    assert model.logits(texts).shape == (len(texts), 4)


def test_a_text_without_words_has_the_bias(model: TextModel) -> None:
    np.testing.assert_array_equal(model.logits([b"", b" "]), [[0, 1, 2, 3]] * 2)


def test_one_gram_counts_whole_and_two_texts_do_not_mix(model: TextModel) -> None:
    alone = model.unseen([b"#"])[0]
    np.testing.assert_array_equal(model.unseen([b"x y z", b"#", b""])[1], alone)


def test_the_cache_is_bounded(model: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_model, "REMEMBERED", 10)
    for start in range(0, 100, 5):
        model.logits([b"%d" % number for number in range(start, start + 5)])
        assert len(model.known) <= 15

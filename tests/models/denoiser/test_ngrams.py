"""Hashed n-grams: the kernel against the reference, and what is promised of their number."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow import kernels
from tracewinnow.models.denoiser import ngrams
from tracewinnow.models.denoiser._ngrams import grams as kernel

HASHERS = [pytest.param(kernel, id="kernel"), pytest.param(ngrams.reference, id="reference")]
PIECES = st.sampled_from(
    [b"a", b"B", b"_", b"\xc3\xa9", b" ", b"\t", b"#", b"/", b".", b"word", b"x" * 50, b"\x00", b"\xff", b"9"]
)
TEXTS = st.one_of(st.binary(max_size=120), st.lists(PIECES, max_size=30).map(b"".join))


@settings(max_examples=500, deadline=None)
@given(st.lists(TEXTS, max_size=4))
def test_kernel_and_reference_agree(texts: list[bytes]) -> None:
    for one, other in zip(kernel(texts), ngrams.reference(texts), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


WEIGHTS = np.random.default_rng(4).normal(size=(ngrams.BUCKETS, 4)).astype(np.float32)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, max_size=4))
def test_sums_of_weights_agree_to_the_last_bit(texts: list[bytes]) -> None:
    texts.append(b"one two three " * 400)
    found, counts = ngrams.sums(texts, WEIGHTS)
    wanted, sizes = ngrams.reference_sums(texts, WEIGHTS)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(counts, sizes)


def test_sums_refuse_weights_of_another_shape() -> None:
    with pytest.raises(ValueError, match="shape"):
        ngrams.sums([b"a"], WEIGHTS[:5])


@pytest.mark.parametrize("hasher", HASHERS)
def test_texts_are_lowered_and_blanks_only_part_words(hasher: ngrams.Hasher) -> None:
    numbers, starts = hasher([b"Out of MEMORY", b"out \t of  memory ", b"outofmemory"])
    one, other, third = (numbers[a:b].tolist() for a, b in itertools.pairwise(starts))
    assert one == other != third


@pytest.mark.parametrize("hasher", HASHERS)
def test_numbers_are_buckets_and_a_long_text_is_read_up_to_a_limit(hasher: ngrams.Hasher) -> None:
    numbers, starts = hasher([b"", b" ", b"ab" * ngrams.MOST, b"ab" * ngrams.MOST + b" more"])
    assert 0 <= int(numbers.min()) <= int(numbers.max()) < ngrams.BUCKETS
    assert np.diff(starts)[:2].tolist() == [0, 0]
    assert np.diff(starts)[2] == np.diff(starts)[3]


@pytest.mark.parametrize("hasher", HASHERS)
def test_no_texts(hasher: ngrams.Hasher) -> None:
    numbers, starts = hasher([])
    assert len(numbers) == 0
    assert starts.tolist() == [0]


def test_environment_chooses_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.kernel.cache_clear()
    monkeypatch.setenv("TRACEWINNOW_PURE", "1")
    assert ngrams.hasher() is ngrams.reference
    assert ngrams.sums([b"a b"], WEIGHTS)[1].tolist() == [6]
    kernels.kernel.cache_clear()
    monkeypatch.delenv("TRACEWINNOW_PURE")
    assert ngrams.hasher() is kernel


def test_a_missing_kernel_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.kernel.cache_clear()
    monkeypatch.delenv("TRACEWINNOW_PURE", raising=False)
    monkeypatch.setitem(sys.modules, "tracewinnow.models.denoiser._ngrams", None)
    with pytest.raises(ImportError, match="build_ext --inplace"):
        ngrams.hasher()
    kernels.kernel.cache_clear()

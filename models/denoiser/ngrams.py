"""Hashed n-grams of a segment's text: what the baseline reads.

Text is taken as bytes, ASCII letters lowered. A word is a run of letters, `_` and bytes above 127; every other byte but white
space is a word of its own. The grams, in this order for each word: the word; the word with the one before it; and of words of
letters the runs of 3, 4 and 5 bytes of `<word>`, where `<` and `>` mark its ends. A gram's number
is its hash (FNV-1a, 32 bits, folded) modulo BUCKETS; white space stands between the two words of a pair, so that kinds of grams do
not meet by design, only by chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tracewinnow.kernels import kernel

BITS = 17
BUCKETS = 1 << BITS
LONGEST_WORD = 40  # bytes of a word that are cut into runs
MOST = 4096  # bytes of a text that are read

Floats = npt.NDArray[np.float32]
Sums = tuple[Floats, npt.NDArray[np.int64]]
Grams = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]


class Hasher(Protocol):
    """The compiled kernel and the reference; the same numbers for the same bytes."""

    def __call__(self, texts: Sequence[bytes], /) -> Grams:
        """Grams of n texts: int32[m] in [0, BUCKETS), and int64[n + 1], where each text's begin; the last entry is m."""
        ...


def fnv(data: bytes) -> int:
    """FNV-1a, 32 bits, its upper part folded onto BITS bits. http://www.isthe.com/chongo/tech/comp/fnv/"""
    h = 0x811C9DC5
    for byte in data:
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return ((h >> BITS) ^ h) & (BUCKETS - 1)


def is_letter(byte: int) -> bool:
    """Whether a byte, lowered, is part of a word of several bytes."""
    return 97 <= byte <= 122 or byte == 95 or byte > 127


def words(text: bytes) -> list[bytes]:
    """The words of a text."""
    found: list[bytes] = []
    start = -1
    text = text[:MOST].lower()
    for i, byte in enumerate(text):
        if is_letter(byte):
            start = i if start < 0 else start
            continue
        if start >= 0:
            found.append(text[start:i])
            start = -1
        if byte not in b" \t\r\n\x0b\x0c":
            found.append(text[i : i + 1])
    if start >= 0:
        found.append(text[start:])
    return found


def reference(texts: Sequence[bytes], /) -> Grams:
    """The grams in Python, to read and to check the kernel against."""
    numbers: list[int] = []
    starts = [0]
    for text in texts:
        last = b""
        for word in words(text):
            numbers += [fnv(word), fnv(last + b" " + word)]
            last = word
            if is_letter(word[0]):
                marked = b"<" + word[:LONGEST_WORD] + b">"
                for size in (3, 4, 5):
                    numbers += [fnv(b"\x01" + marked[i : i + size]) for i in range(len(marked) - size + 1)]
        starts.append(len(numbers))
    return np.array(numbers, np.int32), np.array(starts, np.int64)


def reference_sums(texts: Sequence[bytes], weights: Floats, /) -> Sums:
    """`sums` in Python, over the grams of the reference."""
    numbers, starts = reference(texts)
    found = np.zeros((len(texts), weights.shape[1]), np.float32)
    for n, (first, end) in enumerate(itertools.pairwise(starts.tolist())):
        if end > first:  # not reduced: numpy adds in an order of its own
            found[n] = np.add.accumulate(weights[numbers[first:end]], axis=0, dtype=np.float64)[-1]
    return found, np.diff(starts)


def sums(texts: Sequence[bytes], weights: Floats) -> Sums:
    """Sum of the weights of each text's grams, float32[n, 4], and how many grams it has, int64[n]. weights: float32[BUCKETS, 4]."""
    compiled = kernel("models.denoiser._ngrams")
    found: Sums = (reference_sums if compiled is None else compiled.sums)(texts, weights)
    return found


def hasher() -> Hasher:
    """The kernel, or the reference where the environment says TRACEWINNOW_PURE=1. Raises ImportError where it was not built."""
    compiled = kernel("models.denoiser._ngrams")
    found: Hasher = reference if compiled is None else compiled.grams
    return found

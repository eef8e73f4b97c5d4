"""WordPiece: the longest piece first, nothing lost but what the vocabulary does not know."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow.models.denoiser.wordpiece import LONGEST, WordPiece, plain

VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "un",
    "##able",
    "##a",
    "##ble",
    "time",
    "##out",
    "error",
    ":",
    "#",
    "e",
]
VOCABULARY += [*string.ascii_lowercase[1:4], *(f"##{letter}" for letter in string.ascii_lowercase[1:])]


@pytest.fixture(scope="module")
def words() -> WordPiece:
    return WordPiece(VOCABULARY)


def named(words: WordPiece, text: str) -> list[str]:
    return [VOCABULARY[number] for number in words(text)]


def test_the_longest_piece_is_taken(words: WordPiece) -> None:
    assert named(words, "unable timeout") == ["un", "##able", "time", "##out"]
    assert named(words, "Error:#") == ["error", ":", "#"]


def test_what_the_vocabulary_lacks_is_one_unknown(words: WordPiece) -> None:
    assert named(words, "zebra b?") == ["[UNK]", "b", "[UNK]"]
    assert named(words, "b" * (LONGEST + 1)) == ["[UNK]"]


def test_accents_and_case_do_not_matter(words: WordPiece) -> None:
    assert words("ÉRRÔR") == words("error")


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    words = WordPiece(VOCABULARY)
    found = [VOCABULARY[number] for number in words(text)]
    if "[UNK]" not in found:
        assert "".join(piece.removeprefix("##") if len(piece) > 1 else piece for piece in found) == "".join(
            plain(text).split()
        )

"""Counts against the vocabulary read the long way."""

from __future__ import annotations

import base64
import json

import pytest
import regex
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.transforms import _tokens, tokens


def long_way() -> tiktoken.Encoding:
    model = json.loads(tokens.vocabulary().read_text("utf8"))
    config = model["config"]
    size = config["default_vocab_size"] - config["default_num_special_tokens"]
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in model["vocab"][:size]}
    return tiktoken.Encoding(name="t", pat_str=config["pattern"], special_tokens={}, mergeable_ranks=ranks)


ENCODING = long_way()


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_as_many_as_the_tokenizer_says(text: str) -> None:
    assert tokens.count(text) == len(ENCODING.encode_ordinary(text))


SIGNS = " \t\n\r\x0b\x0c/.=-_:'()#aAbBzZ09\x00\x1c\x7f×…–’█→✓"


@settings(max_examples=500, deadline=None)
@given(st.text(st.sampled_from(SIGNS) | st.characters(max_codepoint=127), max_size=60))
def test_text_is_cut_as_the_pattern_cuts_it(text: str) -> None:
    assert [piece.decode() for piece in _tokens.pieces(text)] == regex.findall(tokens.read()[0], text)
    assert tokens.count(text) == len(ENCODING.encode_ordinary(text))


def test_signs_are_signs_to_the_encoder_as_well() -> None:
    for point in range(128, 0x3000):
        for text in (f"a{chr(point)}b", f" {chr(point)}1", f"A{chr(point)}A", f". {chr(point)} /"):
            found = _tokens.count(text, {}, tokens._look_up)
            assert found in (-1, len(ENCODING.encode_ordinary(text))), hex(point)
    assert _tokens.count("…A-B ×2 ─█→✓", {}, tokens._look_up) > 0


@settings(max_examples=100, deadline=None)
@given(st.text("abcdefgEFGHxyz", min_size=2, max_size=tokens.BY_HAND))
def test_pieces_are_merged_as_the_encoder_merges_them(piece: str) -> None:
    assert tokens.merged(piece.encode(), tokens.ranks()) == len(ENCODING._encode_single_piece(piece))


@pytest.mark.parametrize("text", ["né", "日本", "x\u00a0y", "²", "\u0301"])
def test_what_the_kernel_does_not_know_it_leaves_to_the_encoder(text: str) -> None:
    assert _tokens.count(text, {}, len) == -1
    with pytest.raises(ValueError, match="neither ASCII"):
        _tokens.pieces(text)
    assert tokens.count(text) == len(ENCODING.encode_ordinary(text))


def test_half_a_surrogate_pair_is_counted() -> None:
    assert tokens.count("x\udc80y") == len(ENCODING.encode_ordinary("x\udc80y"))


def test_the_vocabulary_is_that_of_the_long_way() -> None:
    assert tokens.ranks() == ENCODING._mergeable_ranks


@pytest.mark.parametrize("damaged", [b'"k": "?!"', b'"k": "' + b"A" * 2000])
def test_a_damaged_vocabulary_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="no base64"):
        _tokens.vocabulary(damaged, b'"k"', 10)


def test_a_long_text_counts_the_same_in_slices() -> None:
    text = "\n".join(f"step {i} loss {1 / (i + 1):.4f} in /data/shard-{i % 7}" for i in range(5000))
    assert len(tokens.slices(text)) > 5
    assert "".join(tokens.slices(text)) == text
    assert tokens.count(text) == len(ENCODING.encode_ordinary(text))


def test_a_long_line_counts_at_least_as_many() -> None:
    text = "abcdefgh" * 20_000
    assert tokens.count(text) >= len(ENCODING.encode_ordinary(text))
    assert all(len(piece) <= tokens.SLICE for piece in tokens.slices(text))


def test_an_estimate_is_exact_for_what_is_short_and_near_for_what_is_long() -> None:
    text = "".join(
        f"step {i} loss {1 / (i + 1):.6f}\n" if i % 3 else f"saved checkpoint number {i}\n" for i in range(40_000)
    )
    assert tokens.estimate(text[:1000], 1000) == tokens.count(text[:1000])
    assert abs(tokens.estimate(text, 1 << 16) / tokens.count(text) - 1) < 0.03
    assert tokens.estimate(text, 1 << 16) == tokens.estimate(text, 1 << 16)

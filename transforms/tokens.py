"""Tokens of a real LLM vocabulary (Tekken), without network: the vocabulary comes out of the mistral-common wheel."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from binascii import a2b_base64
from pathlib import Path

import tiktoken

TOKENIZER = "tekken_240911"

# A piece without white space costs the encoder more than linear time, so text goes in by slices. Cutting inside a line may
# count a token or two too many, never too few.
SLICE = 20_000
STRETCH = 1000  # characters: what is read in one place for an estimate


def count(text: str) -> int:
    """Tokens of a text. Never fewer than encoding it whole gives, for text up to SLICE characters exactly as many."""
    return sum(len(encoding().encode_ordinary(piece)) for piece in slices(text))


def estimate(text: str, sample: int) -> int:
    """Tokens of a text, scaled up from `sample` characters in stretches spread over it; exact for a text no longer than that.

    Deterministic.
    """
    if len(text) <= sample:
        return count(text)
    spans = sample // STRETCH or 1
    starts = [i * (len(text) - STRETCH) // spans for i in range(spans)]
    found = sum(len(encoding().encode_ordinary(text[start : start + STRETCH])) for start in starts)
    return round(found * len(text) / (spans * STRETCH))


def head(text: str, budget: int) -> str:
    """The longest head of a text that has at most `budget` tokens, by halving, without white space at its end."""
    text = text[: budget * 40]
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if count(text[:middle].rstrip()) <= budget:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip()


def slices(text: str) -> list[str]:
    """The text in pieces of at most SLICE characters, cut after a line end where there is one."""
    if len(text) <= SLICE:
        return [text] if text else []
    pieces, start = [], 0
    while start < len(text):
        end = start + SLICE
        if end < len(text):
            end = (text.rfind("\n", start, end) + 1) or end
        pieces.append(text[start:end])
        start = end
    return pieces


@functools.lru_cache(maxsize=1)
def encoding() -> tiktoken.Encoding:
    """The encoder, loaded once (0.2 s)."""
    raw = vocabulary().read_bytes()
    # A JSON parser would build 150,000 dictionaries that nobody needs. The entries stand in order of rank.
    config, _ = json.JSONDecoder().raw_decode(raw[raw.index(b"{", raw.index(b'"config"')) :][:10_000].decode())
    words = re.findall(rb'"token_bytes"\s*:\s*"([^"]*)"', raw)
    size = config["default_vocab_size"] - config["default_num_special_tokens"]
    ranks = {a2b_base64(word): rank for rank, word in enumerate(words[:size])}
    return tiktoken.Encoding(name=TOKENIZER, pat_str=config["pattern"], special_tokens={}, mergeable_ranks=ranks)


def vocabulary() -> Path:
    """Where the vocabulary lies. The package is not imported: it would cost a second."""
    found = importlib.util.find_spec("mistral_common")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "the vocabulary comes with mistral-common: pip install 'tracewinnow[winnow]'", name="mistral_common"
        )
    return Path(found.origin).parent / "data" / f"{TOKENIZER}.json"

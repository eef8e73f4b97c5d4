"""Tokens of a real LLM vocabulary (Tekken), without network: the vocabulary comes out of the mistral-common wheel."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
import re
from binascii import a2b_base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tracewinnow.kernels import kernel

if TYPE_CHECKING:
    import tiktoken

TOKENIZER = "tekken_240911"

# A piece without white space costs the encoder more than linear time, so text goes in by slices. Cutting inside a line may
# count a token or two too many, never too few.
SLICE = 20_000
STRETCH = 1000  # characters: what is read in one place for an estimate
KNOWN = 200_000  # pieces whose tokens are remembered, of at most
KNOWN_BYTES = 64  # bytes each
BY_HAND = 100  # bytes of a piece that is merged here; for a longer one the encoder has the better algorithm

_known: dict[bytes, int] = {}


def count(text: str) -> int:
    """Tokens of a text. Never fewer than encoding it whole gives, for text up to SLICE characters exactly as many."""
    return sum(_count(piece) for piece in slices(text))


def _count(piece: str) -> int:
    if (compiled := kernel("transforms._tokens")) is not None:
        try:
            found: int = compiled.count(piece, _known, _look_up)
        except UnicodeEncodeError:  # half a surrogate pair, which the encoder replaces
            found = -1
        if found >= 0:
            return found
    return _by_encoder(piece)


def _by_encoder(text: str) -> int:
    return len(encoding().encode_ordinary(text))


def _look_up(piece: bytes) -> int:
    """Tokens of a piece that the pattern gives; remembered."""
    known = ranks()
    found = 1 if piece in known else merged(piece, known) if len(piece) <= BY_HAND else _by_encoder(piece.decode())
    if len(piece) <= KNOWN_BYTES:
        if len(_known) >= KNOWN:
            _known.clear()
        _known[piece] = found
    return found


def merged(piece: bytes, known: Mapping[bytes, int]) -> int:
    """Tokens of a piece by byte pair encoding: of all neighbours that make a token, those of the lowest rank merge first.

    known: token -> rank. Sennrich et al., Neural Machine Translation of Rare Words with Subword Units, 2016.
    """
    parts = [piece[i : i + 1] for i in range(len(piece))]
    none = len(known)
    while len(parts) > 1:
        found = [known.get(a + b, none) for a, b in itertools.pairwise(parts)]
        lowest = min(found)
        if lowest == none:
            break
        at = found.index(lowest)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return len(parts)


def estimate(text: str, sample: int) -> int:
    """Tokens of a text, scaled up from `sample` characters in stretches spread over it; exact for a text no longer than that.

    Deterministic.
    """
    if len(text) <= sample:
        return count(text)
    spans = sample // STRETCH or 1
    starts = [i * (len(text) - STRETCH) // spans for i in range(spans)]
    found = sum(_count(text[start : start + STRETCH]) for start in starts)
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
def read() -> tuple[str, dict[bytes, int]]:
    """The pattern of the vocabulary, and the rank of each token; read once (60 ms)."""
    raw = vocabulary().read_bytes()
    # A JSON parser would build 150,000 dictionaries that nobody needs. The entries stand in order of rank.
    config, _ = json.JSONDecoder().raw_decode(raw[raw.index(b"{", raw.index(b'"config"')) :][:10_000].decode())
    size = config["default_vocab_size"] - config["default_num_special_tokens"]
    if (compiled := kernel("transforms._tokens")) is not None:
        return config["pattern"], compiled.vocabulary(raw, b'"token_bytes"', size)
    words = re.findall(rb'"token_bytes"\s*:\s*"([^"]*)"', raw)
    return config["pattern"], {a2b_base64(word): rank for rank, word in enumerate(words[:size])}


def ranks() -> dict[bytes, int]:
    """Rank of each token."""
    return read()[1]


@functools.lru_cache(maxsize=1)
def encoding() -> tiktoken.Encoding:
    """The encoder, loaded once (0.15 s), for what the kernel does not know."""
    import tiktoken

    pattern, tokens = read()
    return tiktoken.Encoding(name=TOKENIZER, pat_str=pattern, special_tokens={}, mergeable_ranks=tokens)


def vocabulary() -> Path:
    """Where the vocabulary lies. The package is not imported: it would cost a second."""
    found = importlib.util.find_spec("mistral_common")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "the vocabulary comes with mistral-common: pip install 'tracewinnow[winnow]'", name="mistral_common"
        )
    return Path(found.origin).parent / "data" / f"{TOKENIZER}.json"

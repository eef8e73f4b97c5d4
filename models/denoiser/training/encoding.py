"""The encoder's part of a training: predictions for what it did not see, the shipped file, and how near its forms are."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers

from tracewinnow.models import registry
from tracewinnow.models.denoiser.encoder import Encoder
from tracewinnow.models.denoiser.training import encoder
from tracewinnow.models.denoiser.training.dataset import Study
from tracewinnow.models.denoiser.training.fit import Lines
from tracewinnow.models.denoiser.training.passages import Floats, Ints, Rows, kinds, rows_of, thinned
from tracewinnow.models.denoiser.wordpiece import WordPiece
from tracewinnow.transforms.passages import known_names
from tracewinnow.transforms.reread import FILE, WORDS

COMMON = 14_000  # pieces of the pre-trained vocabulary that stay, the most frequent; behind them only what the labelled logs hold
UNUSED = "[unused"  # pieces that it holds free; those of other scripts go, too, for their size
COMPARED = 500  # segments on which the forms are compared
QUICK_LAYERS, QUICK_ROWS = 1, 320


def train(
    study: Study,
    lines: Lines,
    group: npt.NDArray[np.str_],
    names: list[str],
    out: Path,
    seed: int = 0,
    quick: bool = False,
    tell: Callable[[str], None] = print,
) -> tuple[Floats, dict[str, Any]]:
    """Fit and write the encoder. group: of each labelled line; names: the groups that are judged.

    -> log-odds for every segment of these groups, float32[segments, 4], by an encoder that saw none of its part; and what the file
    was made from. Parts are three, because a fit takes ten minutes: each of the two groups of the most logs, and all the others.
    """
    words = WordPiece(encoder.vocabulary())
    rows = rows_of(study, lines, words)
    of_row, kind = group[rows.first], kinds(lines, rows.first)
    judged = np.flatnonzero(np.isin(of_row, names))
    by_size = sorted(names, key=lambda name: -len(np.unique(lines.sample[group == name])))
    said = np.zeros((len(of_row), 4), np.float32)
    for part in (by_size[:1], by_size[1:2], by_size[2:]):
        if part:
            ours = np.isin(of_row, part)
            tell(f"encoder, without {', '.join(part)}")
            net = fitted(rows, thinned(np.flatnonzero(~ours), kind, seed), seed, quick, tell)
            said[ours] = encoder.logits(net, rows, np.flatnonzero(ours))
    tell("encoder, of everything")
    net = fitted(rows, thinned(np.arange(len(of_row)), kind, seed), seed, quick, tell)
    return said[judged], written(net, rows, out, words, tell)


def fitted(rows: Rows, chosen: Ints, seed: int, quick: bool, tell: Callable[[str], None]) -> encoder.Net:
    """An encoder; of one layer and some rows where it has to be quick."""
    if quick:
        chosen = np.random.default_rng(seed).permutation(chosen)[:QUICK_ROWS]
        return encoder.fit(rows, chosen, seed, QUICK_LAYERS, 1, tell)
    return encoder.fit(rows, chosen, seed, tell=tell)


def written(net: encoder.Net, rows: Rows, out: Path, words: WordPiece, tell: Callable[[str], None]) -> dict[str, Any]:
    """Write FILE and WORDS with their lines of the manifest. -> what they were made from, and how near the forms are."""
    kept = pieces_kept(rows, words)
    encoder.cut(net, kept)
    rows, words = renumbered(rows, words, kept), WordPiece([list(words.number)[number] for number in kept.tolist()])
    whole, small = encoder.export(net)
    facts: dict[str, Any] = {
        "from": f"{encoder.PACKAGE} {encoder.WEIGHTS[:12]}",
        "layers": len(net.bert.encoder.layer),
        "fitted in": "bfloat16" if encoder.amx() else "float32",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        **parity(net, rows, whole, small, words),
    }
    facts["sha256"] = registry.put(FILE, small, {"facts": dict(facts)}, out)
    pieces = {
        "pieces": np.array(list(words.number)),
        "known_names": np.array(known_names()),
        "version": np.array(facts["sha256"][:12]),
    }
    registry.save(WORDS, pieces, {"facts": {"of": FILE}}, out)
    tell(f"encoder: {len(small) / 1e6:.1f} MB; {facts}")
    return facts


def pieces_kept(rows: Rows, words: WordPiece) -> Ints:
    """Numbers of the pieces that stay, ascending. A word whose piece goes is read in smaller ones: every letter stays."""
    seen = set(np.concatenate([one.ids for one in rows.pieces]).tolist())
    found = [
        n
        for piece, n in words.number.items()
        if piece.isascii()
        and not piece.startswith(UNUSED)
        and (n < COMMON or n in seen or len(piece.removeprefix("##")) == 1)
    ]
    return np.array(found, np.int64)


def renumbered(rows: Rows, words: WordPiece, kept: Ints) -> Rows:
    """The rows in a vocabulary that was cut; a piece that is gone is unknown."""
    table = np.full(len(words.number), np.flatnonzero(kept == words.unknown)[0], np.int64)
    table[kept] = np.arange(len(kept))
    pieces = [copy.copy(one) for one in rows.pieces]
    for one in pieces:
        one.ids = table[one.ids]
    return dataclasses.replace(rows, pieces=pieces)


def parity(net: encoder.Net, rows: Rows, whole: bytes, small: bytes, words: WordPiece) -> dict[str, Any]:
    """On how many of COMPARED segments the forms give the same class, and how often each is right (they were trained on)."""
    chosen = np.random.default_rng(0).permutation(len(rows.label))[:COMPARED]
    by_torch = encoder.logits(net, rows, chosen).argmax(axis=1)
    by_form = {}
    for name, model in (("float", whole), ("int8", small)):
        running = Encoder(model, words, name)
        by_form[name] = np.array([running.run(rows.pieces[at], rows.known[at]) for at in chosen]).argmax(axis=1)
    label = rows.label[chosen]
    return {
        "onnx as torch": float((by_form["float"] == by_torch).mean()),
        "int8 as float": float((by_form["int8"] == by_form["float"]).mean()),
        "accuracy float": float((by_form["float"] == label).mean()),
        "accuracy int8": float((by_form["int8"] == label).mean()),
    }

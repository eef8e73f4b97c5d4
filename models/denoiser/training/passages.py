"""Labelled segments as the encoder reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.models.denoiser.encoder import Pieces
from tracewinnow.models.denoiser.training.corpus import DENSE
from tracewinnow.models.denoiser.training.dataset import Study
from tracewinnow.models.denoiser.training.fit import Lines
from tracewinnow.models.denoiser.wordpiece import WordPiece
from tracewinnow.transforms.passages import known_of, passage

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
HEAVIEST = 4.0  # weight of a segment against the mean
ROWS = 28_000  # that one fit reads, so that four take some 50 minutes on two cores; what was not sampled is thinned to fit,
SHARES = {
    "builds": 2.0,
    "beside": 2.0,
    "jobs": 1.5,
    "scenes": 1.0,
}  # to what it teaches: real jobs more than written ones


@dataclass(slots=True)
class Rows:
    """Labelled segments, one entry each, in ascending order. first: its first labelled line; known: float32[n, numbers]."""

    pieces: list[Pieces]
    known: Floats
    label: Ints
    weight: Floats
    first: Ints


def rows_of(study: Study, lines: Lines, words: WordPiece) -> Rows:
    """What the encoder reads of every labelled segment."""
    pieces, known, first = [], [], []
    order = np.lexsort((lines.line, lines.segment))
    numbers, starts = np.unique(lines.segment[order], return_index=True)
    cache: tuple[int, Floats] = (-1, np.zeros((0, 0), np.float32))
    for rows in np.split(order, starts[1:]):
        number, at = int(lines.sample[rows[0]]), lines.line[rows]
        one = study.samples[number]
        if cache[0] != number:
            cache = (number, known_of(one.view, one.rules))
        pieces.append(Pieces(words, *passage(study.templates, one.template, at.tolist())))
        known.append(cache[1][at].max(axis=0))
        first.append(rows[0])
    weight = np.bincount(lines.segment, lines.weight)[numbers]
    return Rows(
        pieces,
        np.array(known, np.float32),
        lines.label[first],
        np.minimum(weight / weight.mean(), HEAVIEST).astype(np.float32),
        np.array(first, np.int64),
    )


def kinds(lines: Lines, first: Ints) -> npt.NDArray[np.str_]:
    """What the rows that begin with these lines are: "sampled", a source of DENSE, or "beside" a sampled one."""
    source = lines.source[first]
    return np.where(lines.sampled[first], "sampled", np.where(np.isin(source, DENSE), source, "beside"))


def thinned(chosen: Ints, kind: npt.NDArray[np.str_], seed: int) -> Ints:
    """Rows of one fit, ascending: all that were sampled; the other kinds share what ROWS leaves room for."""
    draw = np.random.default_rng(seed)
    parts = [chosen[kind[chosen] == "sampled"]]
    left = max(0, ROWS - len(parts[0]))
    by_size = sorted(SHARES, key=lambda name: int((kind[chosen] == name).sum()) / SHARES[name])
    for number, name in enumerate(by_size):
        share = SHARES[name] / sum(SHARES[other] for other in by_size[number:])
        parts.append(draw.permutation(chosen[kind[chosen] == name])[: int(left * share)])
        left -= len(parts[-1])
    return np.sort(np.concatenate(parts))

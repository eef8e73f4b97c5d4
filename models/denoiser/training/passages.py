"""Labelled segments as the encoder reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.models.denoiser.encoder import Pieces
from tracewinnow.models.denoiser.training.dataset import Study
from tracewinnow.models.denoiser.training.fit import Lines
from tracewinnow.models.denoiser.wordpiece import WordPiece
from tracewinnow.transforms.passages import known_of, passage

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
HEAVIEST = 4.0  # weight of a segment against the mean


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

"""Labelled segments become rows in the order of their numbers, each with its own label and text."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.models.denoiser.message import message
from tracewinnow.models.denoiser.training import passages
from tracewinnow.models.denoiser.training.fit import lines_of
from tracewinnow.models.denoiser.training.passages import HEAVIEST, rows_of, thinned
from tracewinnow.models.denoiser.training.run import gather
from tracewinnow.models.denoiser.wordpiece import WordPiece
from tracewinnow.transforms.passages import known_names

LETTERS = [f"{mark}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789" for mark in ("", "##")]


def test_rows_are_the_labelled_segments() -> None:
    study = gather(None, quick=True)
    lines = lines_of(study)
    words = WordPiece(["[UNK]", "[CLS]", "[SEP]", *LETTERS])
    rows = rows_of(study, lines, words)
    count = len(np.unique(lines.segment))
    assert len(rows.pieces) == len(rows.label) == count
    assert rows.known.shape == (count, len(known_names()))
    np.testing.assert_array_equal(np.unique(lines.segment), lines.segment[rows.first])
    np.testing.assert_array_equal(rows.label, lines.label[rows.first])
    assert 0 < rows.weight.min() <= rows.weight.max() <= HEAVIEST
    at = int(rows.first[5])
    text = study.templates[int(study.samples[lines.sample[at]].template[lines.line[at]])]
    begin = words(message(text).decode("utf8", "replace"))[:3]
    assert rows.pieces[5].ids[1 : 1 + len(begin)].tolist() == begin


@pytest.mark.parametrize(
    ("builds", "scenes", "kept"), [(50, 90, (46, 24)), (10, 90, (10, 60)), (90, 10, (60, 10)), (5, 5, (5, 5))]
)
def test_what_was_not_sampled_fills_what_the_sample_leaves(
    builds: int, scenes: int, kept: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passages, "ROWS", 100)
    kind = np.array(["builds"] * builds + ["sampled"] * 30 + ["scenes"] * scenes)
    found = thinned(np.arange(len(kind)), kind, 0)
    assert found.tolist() == sorted(set(found.tolist())) == thinned(np.arange(len(kind)), kind, 0).tolist()
    assert [int((kind[found] == name).sum()) for name in ("sampled", "builds", "scenes")] == [30, *kept]

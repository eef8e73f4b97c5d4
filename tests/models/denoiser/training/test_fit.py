"""What the head is fitted on: labelled lines with those around them, each log once, in order."""

from __future__ import annotations

import numpy as np

from tracewinnow.models.denoiser.training import fit
from tracewinnow.models.denoiser.training.run import gather


def test_lines_near_labelled_ones_come_log_by_log() -> None:
    study = gather(None, quick=True)
    lines = fit.lines_of(study)
    rows = np.flatnonzero(np.arange(len(lines.label)) % 7 == 0)
    some = fit.near(study, lines, rows, 2)
    want = sorted(
        {
            (sample, line + shift)
            for sample, line in zip(lines.sample[rows].tolist(), lines.line[rows].tolist(), strict=True)
            for shift in range(-2, 3)
            if 0 <= line + shift < len(study.samples[sample].label)
        }
    )
    assert list(zip(some.sample.tolist(), some.line.tolist(), strict=True)) == want
    read = some.row >= 0
    np.testing.assert_array_equal(some.row[read], np.arange(len(rows)))
    np.testing.assert_array_equal(lines.line[rows[some.row[read]]], some.line[read])
    runs = some.runs()
    assert runs[0] == 0
    assert runs[-1] == len(want)
    for first, end in zip(runs[:-1].tolist(), runs[1:].tolist(), strict=True):
        assert want[end - 1] == (want[first][0], want[first][1] + end - 1 - first)
        assert end == len(want) or want[end] != (want[end - 1][0], want[end - 1][1] + 1)
    alone = fit.near(study, lines, rows, 0)
    np.testing.assert_array_equal(alone.row, np.arange(len(rows)))


def test_the_same_rows_give_the_same_model() -> None:
    study = gather(None, quick=True)
    lines = fit.lines_of(study)
    rows = np.arange(len(lines.label))
    one, two = (fit.arrays(fit.fit(study, lines, rows, seed=1)) for _ in range(2))
    assert str(one["version"]) == str(two["version"])
    assert str(one["version"]) != str(fit.arrays(fit.fit(study, lines, rows, seed=2))["version"])

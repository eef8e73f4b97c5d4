"""The ablation run for real, on some scenes: every variant judges every segment, by what it did not see."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.models.denoiser.training import run
from tracewinnow.models.denoiser.training.ablation import SPECIALISTS, ablation, kept, report
from tracewinnow.models.denoiser.training.fit import lines_of
from tracewinnow.transforms import features


def test_every_variant_judges_every_segment() -> None:
    study = run.gather(None, quick=True)
    lines = lines_of(study)
    group, names = run.groups(lines)
    judged = ablation(study, lines, group, names[:1], tell=lambda said: None)
    assert {
        "rules",
        "words alone",
        "without context",
        "without segmenting",
        "linear model",
        "single model",
        *SPECIALISTS,
    } == set(judged)
    for one in judged.values():
        assert one.probability.shape == (len(np.unique(lines.segment[group == names[0]])), 4)
        np.testing.assert_allclose(one.probability.sum(axis=1), 1, atol=1e-4)
    found = report(study, judged)
    gain = found["variants"]["single model"]["accuracy"] - found["variants"]["linear model"]["accuracy"]
    assert found["gain over the linear model"]["accuracy"][0] == pytest.approx(gain)
    assert found["variants"]["linear model"]["accuracy"] > found["variants"]["rules"]["accuracy"]
    assert set(found["by workload"]) == {study.samples[number].workload for number in judged["rules"].log.tolist()}


def test_variants_see_less() -> None:
    assert kept("single model").all()
    sizes = [kept(variant).sum() for variant in ("without context", "without segmenting", "single model")]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == len(features.names())

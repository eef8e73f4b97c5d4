"""The fit of the rules' weights: signs that are known are kept, what is marked counts, the module in use is as written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracewinnow.models.denoiser.training import dataset, rules, run
from tracewinnow.models.denoiser.training.dataset import Study
from tracewinnow.transforms import score, weights


@pytest.fixture(scope="module")
def study() -> Study:
    return run.gather(None, quick=True)


def test_what_is_marked_stands_above_what_is_labelled(study: Study) -> None:
    one = next(one for one in study.samples if one.outcome == "failed" and (one.label == 0).sum() > 1)
    labelled = rules.examples(one)
    assert labelled is not None
    assert (one.label[labelled.at[labelled.evidence]] == 0).all()
    assert (one.label[labelled.at[~labelled.evidence]] > 0).all()
    told = np.flatnonzero(one.label == 0)[0]
    one.marked[told] = True
    marked = rules.examples(one)
    one.marked[told] = False
    assert marked is not None
    assert marked.at[marked.evidence].tolist() == [told]
    assert len(marked.at) > len(labelled.at) - labelled.evidence.sum()  # lines that nobody read are no evidence, too


def test_runs_that_completed_teach_nothing(study: Study) -> None:
    assert all(rules.examples(one) is None for one in study.samples if one.outcome == "ok")


def test_the_weights_find_what_is_marked(study: Study) -> None:
    own, surrounded = rules.fit(study.samples)
    assert rules.fit(study.samples) == (own, surrounded)
    for some in (own, surrounded):
        assert all(some.get(name, 0) >= 0 for name in rules.UPWARDS)
        assert all(some.get(name, 0) <= 0 for name in rules.DOWNWARDS)
    above = []
    for one in study.samples:
        known = rules.examples(one)
        if known is not None:
            odds = score.own_score(one.view.bits, rules.around(known, own), surrounded)[known.at]
            above.append((odds[known.evidence][:, None] > odds[~known.evidence]).mean())
    assert np.mean(above) > 0.8


def test_what_is_written_can_be_read(tmp_path: Path, study: Study) -> None:
    both = {"error": 0.5, "none": -1.0, "step": 0.0, "constant": -3.0}, {"error": 0.1, "constant": -4.0}
    names: dict[str, dict[str, float]] = {}
    exec(rules.source(both), names)
    assert (names["OWN"], names["SURROUNDED"]) == ({"error": 0.5, "none": -1.0, "constant": -3.0}, both[1])


def test_the_weights_in_use_are_as_written() -> None:
    assert Path(weights.__file__).read_text() == rules.source((weights.OWN, weights.SURROUNDED))
    for some in (weights.OWN, weights.SURROUNDED):
        assert set(some) <= {*rules.NAMES, *_features(), "constant"}


def _features() -> set[str]:
    view = dataset.read(["x"]).view
    return {*score.place_features(view), *score.surroundings(view, np.zeros(1, np.float32))}

"""The outcome model is fitted on logs and parts of logs, each seen by a judge that did not see its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracewinnow.models.denoiser.training import outcome, run
from tracewinnow.models.denoiser.training.dataset import Study
from tracewinnow.models.denoiser.training.fit import Lines, lines_of
from tracewinnow.transforms.judge import Judge, judge
from tracewinnow.transforms.outcome import FILE, Outcome, shipped, signed_names
from tracewinnow.transforms.score import View

Known = tuple[Study, Lines, outcome.Runs, dict[str, Judge]]


@pytest.fixture(scope="module")
def known() -> Known:
    """Some scenes, and their runs as the shipped judge sees them: fitting judges is tested elsewhere, and takes minutes."""
    found = run.gather(None, quick=True)
    lines = lines_of(found)
    group, only = run.groups(lines)
    shipped_judge = judge()
    assert not isinstance(shipped_judge, str)
    judges = dict.fromkeys(only, shipped_judge)
    part = outcome.parts(found, lines, group, only)
    return found, lines, outcome.runs_of(found, lines, part, judges, 0, lambda said: None), judges


def test_a_beginning_completed_nothing(known: Known) -> None:
    found, _, runs, _ = known
    outcomes = np.array([found.samples[number].outcome for number in runs.sample.tolist()])
    assert (runs.failed[runs.kind == "beginning"] == 1).all()
    assert (runs.failed[(runs.kind != "beginning") & (outcomes == "ok")] == 0).all()
    assert (runs.failed[outcomes == "failed"] == 1).all()
    assert sorted(runs.said) == list(range(len(found.samples)))
    assert (np.diff(runs.sample) >= 0).all()


def test_cuts_lie_within_the_log() -> None:
    draw = np.random.default_rng(0)
    for n in (0, 1, 11, 12, 149, 150, 5000):
        for kind, first, end in outcome.cuts(n, draw):
            assert 0 <= first <= end <= n
            assert (kind == "whole") == ((first, end) == (0, n)) or kind == "end"
    assert [kind for kind, *_ in outcome.cuts(5000, draw)] == ["whole", "beginning", "beginning", "end"]


def test_templates_are_numbered_as_they_come() -> None:
    view = View(np.arange(5, dtype=np.uint64), np.array([0, 1, 2, 1, 0]), np.arange(5), np.full(5, -1, np.int32))
    found = outcome.cut(view, 2, 5)
    assert found.template.tolist() == [0, 1, 2]
    assert found.bits.tolist() == [2, 3, 4]


def test_each_weight_holds_its_sign_and_runs_are_told_apart(known: Known) -> None:
    runs = known[2]
    model = outcome.fitted(runs, np.arange(len(runs.failed)))
    assert (model.weights * np.array(list(signed_names().values())) >= 0).all()
    whole = runs.kind == "whole"
    told = outcome.left_out(runs)[whole]
    assert outcome.outcomes(told, runs.failed[whole])["auc"] > 0.8


def test_the_file_is_the_same_each_time(known: Known, tmp_path: Path) -> None:
    runs = known[2]
    assert outcome.save(runs, tmp_path / "1", {}) == outcome.save(runs, tmp_path / "2", {})
    assert (tmp_path / "1" / FILE).read_bytes() == (tmp_path / "2" / FILE).read_bytes()
    loaded = shipped(tmp_path / "1")
    assert isinstance(loaded, Outcome)
    model = outcome.fitted(runs, np.arange(len(runs.failed)))
    np.testing.assert_array_equal(loaded.weights, model.weights)
    assert loaded.bias == pytest.approx(model.bias, rel=1e-5)


def test_what_it_is_worth_is_counted(known: Known) -> None:
    found, lines, runs, _ = known
    figures: dict[str, Any] = outcome.judged(found, lines, runs)
    counts = figures["scenes"]
    assert counts["error-like, lines"] >= counts["error-like, before"] > counts["error-like, after"]
    assert counts["error-like, lines with a reference"] > 0
    assert counts["error-like, with a reference"] <= counts["error-like, after"]
    assert (
        counts["causes, lines"] >= counts["causes, before"] >= counts["causes, after"] > 0.9 * counts["causes, before"]
    )
    assert (
        figures["classes after"]["healthy_called_actionable"] < figures["classes before"]["healthy_called_actionable"]
    )


def test_a_source_that_is_not_left_out_falls_into_halves(known: Known) -> None:
    found, lines, _, _ = known
    part = outcome.parts(found, lines, lines.source, [])
    assert set(part) == {"scenes half 0", "scenes half 1"}
    folders = {(one.project.split("/")[0], name) for one, name in zip(found.samples, part, strict=True)}
    assert len(folders) == len({folder for folder, _ in folders})

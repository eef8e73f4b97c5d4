"""The shipped profile is made of error-like lines of runs that completed, less what anybody blamed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracewinnow.models import registry
from tracewinnow.models.denoiser.training import harmless, run
from tracewinnow.models.denoiser.training.corpus import Log
from tracewinnow.models.denoiser.training.dataset import Segment, Study, study
from tracewinnow.transforms.harmless import FILE, Shipped, shipped
from tracewinnow.transforms.judge import judge
from tracewinnow.transforms.reading import name_of

CACHE = "ERROR: the kernel cache of this device could not be opened"
BLAMED = "ERROR: the data loader of this worker went away unexpectedly"
LABELLED = "ERROR: could not reach the telemetry endpoint of this cluster"
VAGUE = "Error: 17"
ENDED = "ERROR: the worker process of this node ended with exit code 1"
QUIET = "the learning rate of this worker is smaller from here on"


def log(source: str, project: str, outcome: str, lines: list[str], marked: list[int] | None = None) -> Log:
    return Log(source, project, Path(project), outcome, lines, "0", marked or [])


@pytest.fixture
def found() -> Study:
    study = Study()
    study.add(log("scenes", "a", "ok", [CACHE, BLAMED, LABELLED, VAGUE, ENDED, QUIET]), [])
    study.add(log("recorded", "b", "failed", [BLAMED], [0]), [])
    study.add(log("logchunks", "c", "failed", [LABELLED]), [Segment([0], 0)])
    study.add(log("cidiff", "d", "ok", [CACHE + " again and again"]), [])  # not of SOURCES
    study.add(log("mlperf", "e", "unknown", [CACHE + ", nobody knows why"]), [])
    return study.finish()


def test_only_what_nobody_blamed_is_in_it(found: Study) -> None:
    assert [found.templates[n].decode() for n in harmless.templates_of(found)] == [CACHE]
    assert len(harmless.templates_of(found, "recorded")) == 2  # what it blames is not known
    assert len(harmless.templates_of(found, "recorded", "other")) == 1
    assert harmless.templates_of(found, "scenes") == []
    assert harmless.templates_of(found, "scenes", "a") == []


def test_the_file_is_the_same_each_time(found: Study, tmp_path: Path) -> None:
    assert harmless.save(found, tmp_path / "1") == harmless.save(found, tmp_path / "2") == 1
    assert (tmp_path / "1" / FILE).read_bytes() == (tmp_path / "2" / FILE).read_bytes()
    loaded = shipped(tmp_path / "1")
    assert isinstance(loaded, Shipped)
    assert loaded.names.tolist() == [int(name_of(CACHE.encode()), 16)]


def some_scenes() -> Study:
    return study([], run.SCENES, sorted(run.SCENES.rglob("*.txt"))[::16])


def test_the_shipped_file_is_of_these_templates() -> None:
    """Names hang on the masking: where that changes, the profile has to be made again."""
    scenes = some_scenes()
    ours = np.array([int(name_of(scenes.templates[n]), 16) for n in harmless.templates_of(scenes)], np.uint64)
    loaded = shipped(registry.FOLDER)
    assert isinstance(loaded, Shipped)
    assert (
        np.isin(ours, loaded.names).mean() > 0.25
    )  # of the rest some was blamed in other logs, some was written since


def test_what_it_is_worth_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        harmless, "fit", lambda *rows: judge()
    )  # the shipped one: fitting is tested elsewhere, and takes minutes
    scenes = some_scenes()
    for number, one in enumerate(scenes.samples):
        one.source = "mlperf" if number % 4 == 0 else "scenes"
    told = harmless.check(scenes, lambda said: None)
    assert list(told) == ["mlperf"]
    counts = told["mlperf"]
    assert (
        counts["actionable: lines"] >= counts["actionable: no profile"] >= counts["actionable: without the source"] > 0
    )
    assert counts["error_like: no profile"] >= counts.get("error_like: without the project", 0)

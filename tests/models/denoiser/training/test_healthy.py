"""Completed runs of a study as references for one another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracewinnow.models.denoiser.training import healthy
from tracewinnow.models.denoiser.training.corpus import Log
from tracewinnow.models.denoiser.training.dataset import Study

QUIET = "ERROR profiler could not open its device file, going on without it"
NEW = "ERROR rank 3 lost the device, giving up"


def study(*runs: tuple[str, str, list[str]]) -> Study:
    """Of (project, outcome, lines)."""
    found = Study()
    for number, (project, outcome, lines) in enumerate(runs):
        found.add(Log("jobs", project, Path(f"{number}.log"), outcome, lines, str(number)), [])
    return found.finish()


def test_a_run_is_compared_with_the_others_of_its_project_and_of_its_source_where_it_has_none() -> None:
    found = study(
        ("a", "ok", ["one", QUIET]), ("a", "ok", ["one", "two"]), ("b", "ok", ["two", "three"]), ("b", "failed", [NEW])
    )
    share = healthy.shares(found)
    assert [share[n].tolist() for n in (0, 1)] == [[1, 0], [1, 0]]
    assert share[2].tolist() == [0.5, 0]
    assert 3 not in share
    assert healthy.shares(study(("a", "ok", ["alone"]))) == {}


def test_what_others_print_has_no_vote_and_what_is_new_keeps_it() -> None:
    found = study(("a", "ok", [QUIET, NEW]), ("a", "ok", [QUIET]))
    sure = np.tile(np.array([0.9, 0.05, 0.03, 0.02], np.float32), (2, 1))
    p, share = healthy.known(found, found.samples[0], healthy.shares(found)[0], sure)
    assert share.tolist() == [1, 0]
    assert p[0, 0] == 0
    np.testing.assert_array_equal(p[1], sure[1])
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)

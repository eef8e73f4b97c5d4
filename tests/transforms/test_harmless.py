"""What looks like an error and is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.models import registry
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.transforms import harmless as module
from tracewinnow.transforms import preprocess
from tracewinnow.transforms.classify import ACTIONABLE, LABELS, voteless
from tracewinnow.transforms.denoise import denoise
from tracewinnow.transforms.harmless import Shipped, harmless, healthy_share, member, specific
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.reading import read, template_names
from tracewinnow.transforms.reference import Reference, no_names
from tracewinnow.transforms.trace import Trace

CACHE = "ERROR: the kernel cache of this device could not be opened"
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "train.py", line 3, in main',
    "    load(path)",
]
OPTIONAL = [*TRACEBACK, "ModuleNotFoundError: No module named 'dashboards' for this run"]
BROKEN = [*TRACEBACK, "ValueError: the shard ends before its header says"]
JOB = [f"step {i} loss {1 / (i + 1):.3f}" for i in range(30)]


def names(*lines: str) -> np.ndarray:
    return np.sort(np.array([int(name, 16) for name in template_names(lines)], np.uint64))


def reference(*runs: list[str]) -> Reference:
    found = Reference()
    for lines in runs:
        found.add(template_names(lines))
    return found


def labels(lines: list[str], ours: np.ndarray, healthy: Reference | None, by_model: bool = True) -> list[str]:
    """Classes where the model, or the score of the rules, is sure that every line is actionable."""
    reading = read(lines)
    n = len(lines)
    probability = np.tile(np.array([0.9, 0.05, 0.03, 0.02], np.float32), (n, 1)) if by_model else None
    share, quiet = healthy_share(reading, healthy), harmless(reading, healthy, ours)
    found = denoise(reading, np.full(n, 5, np.float32), share, [], probability=probability, harmless=quiet)
    assert (found.confidence > 0).all()
    assert (found.confidence <= 1).all()
    return [LABELS[number] for number in found.label.tolist()]


@pytest.mark.parametrize("by_model", [True, False])
def test_a_known_line_loses_its_vote_and_nothing_else_changes(by_model: bool) -> None:
    log = [*JOB, CACHE, *JOB, *BROKEN]
    at = len(JOB)
    unknown, known = (labels(log, ours, None, by_model) for ours in (no_names(), names(CACHE)))
    assert set(unknown) == {"actionable"}
    assert known[at] != "actionable"
    assert set(known[:at] + known[at + 1 :]) == {"actionable"}


def test_a_known_line_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Trace([*JOB, CACHE, *JOB, *BROKEN])
    shown = []
    for ours in (no_names(), names(CACHE)):
        monkeypatch.setattr(preprocess, "shipped", lambda ours=ours: Shipped(ours, "x"))
        result = preprocess.preprocess(log, Options(budget=200))
        shown.append(result.text)
        assert result.versions["harmless"] == "x"
    assert shown[0] == shown[1]
    assert CACHE in shown[0]


def test_what_is_new_to_the_reference_is_news() -> None:
    log, at = [*JOB, CACHE, *JOB], len(JOB)
    assert labels(log, names(CACHE), reference([BROKEN[-1]]))[at] == "actionable"
    assert labels(log, names(CACHE), reference(*[[BROKEN[-1]]] * 9, [CACHE]))[at] != "actionable"


def test_what_some_healthy_runs_print_is_not_actionable() -> None:
    log, at = [*JOB, CACHE, *JOB], len(JOB)
    assert labels(log, no_names(), reference(JOB, JOB, [*JOB, CACHE]))[at] == "context"
    assert labels(log, no_names(), reference(JOB, [*JOB, CACHE]))[at] == "noise"
    assert labels(log, no_names(), reference(*[JOB] * 9, [*JOB, CACHE]))[at] == "actionable"


def test_a_block_is_harmless_only_as_a_whole() -> None:
    healthy = reference([*OPTIONAL, *JOB])
    log = [*OPTIONAL, *JOB, *BROKEN]
    reading = read(log)
    share = healthy_share(reading, healthy)
    assert (share[:4] == 1).all()
    assert (share[-4:] == 0).all()  # also its header and frame, which healthy runs print
    found = labels(log, no_names(), healthy)
    assert set(found[:-4]) == {"noise"}
    assert set(found[-4:]) == {"actionable"}
    quiet = harmless(reading, None, names(*OPTIONAL))
    assert quiet[:4].all()
    assert not quiet[4:].any()


@pytest.mark.parametrize(
    ("template", "raised", "says"),
    [
        (b"Error: #", False, False),
        (b"error: command failed", False, False),
        (b"ERROR the kernel cache of this device is not there", False, True),
        (b"ERROR the kernel cache of device # is not there", False, True),
        (b"ModuleNotFoundError: No module named '*'", True, False),
        (b"ModuleNotFoundError: No module named 'dashboards'", True, True),
        (b"FileNotFoundError: there is no file at */config.json any more", True, False),
        (b"\xff\xfe" * 50, False, False),
    ],
)
def test_a_template_must_say_what_it_is_about(template: bytes, raised: bool, says: bool) -> None:
    assert specific(template, raised) is says


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 40)), st.lists(st.integers(0, 40), max_size=20))
def test_member(kept: list[int], asked: list[int]) -> None:
    found = member(np.unique(np.array(kept, np.uint64)), np.array(asked, np.uint64))
    assert found.tolist() == [one in kept for one in asked]


def test_voteless() -> None:
    p = np.array([[0.9, 0.05, 0.03, 0.02], [1, 0, 0, 0], [0.5, 0.2, 0.2, 0.1]], np.float32)
    found = voteless(p, np.array([True, True, False]))
    assert found[:, ACTIONABLE].tolist() == [0, 0, 0.5]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert found[0].argmax() == 1
    assert found[1].argmax() == 3
    assert p[0, 0] == np.float32(0.9)


def test_the_shipped_profile_loads() -> None:
    found = module.shipped()
    assert isinstance(found, Shipped), found
    assert len(found.names) > 100
    assert (np.diff(found.names.astype(object)) > 0).all()


def test_an_absent_profile_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(module.shipped(tmp_path), str)
    registry.save(module.FILE, {"other": np.zeros(3)}, {}, tmp_path / "other")
    assert isinstance(module.shipped(tmp_path / "other"), str)
    monkeypatch.setattr(preprocess, "shipped", lambda: "no model 'harmless.npz' in x")
    result = PreprocessedTrace()
    assert len(preprocess.known_harmless(result)) == 0
    assert [(note.stage, note.what) for note in result.notes] == [("denoise", "fallback")]
    assert "harmless.npz" in result.notes[0].reason

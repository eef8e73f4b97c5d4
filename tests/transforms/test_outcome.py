"""How a run ended, told by its log, and what follows for lines that look like errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracewinnow
from tracewinnow.models import registry
from tracewinnow.schemas.trace_pb2 import JobState, PreprocessedTrace
from tracewinnow.transforms import outcome as module
from tracewinnow.transforms import preprocess
from tracewinnow.transforms.judge import judge, log_odds
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.outcome import LAST, MARGIN, MOST, Outcome, features, names, progress, quieter, shipped
from tracewinnow.transforms.reading import Reading, read
from tracewinnow.transforms.score import score
from tracewinnow.transforms.trace import Trace

STEPS = [f"INFO epoch {n // 10} step {n}/120 loss {2 / (n + 1):.4f}" for n in range(1, 121)]
SURVIVED = [
    "Traceback (most recent call last):",
    '  File "/opt/app/metrics.py", line 41, in push',
    "    client.send(batch)",
    "ConnectionError: the metrics endpoint refused the connection",
]
COMPLETED = [
    *STEPS[:60],
    *SURVIVED,
    *STEPS[60:],
    "INFO saved model to out/final.pt",
    "INFO training finished in 93.1 s",
]
BROKEN = [
    *STEPS[:60],
    "Traceback (most recent call last):",
    '  File "/opt/app/train.py", line 88, in step',
    "    loss.backward()",
    "RuntimeError: the gradient of layer 3 has a wrong shape",
    "ERROR: process ended with exit code 1",
]
STOPPED = [*STEPS[:60], *SURVIVED, *STEPS[60:90]]


def told(lines: list[str]) -> float:
    """Log-odds that the run did not complete, by the shipped models."""
    model, ours = judge(), shipped()
    assert not isinstance(model, str), model
    assert isinstance(ours, Outcome), ours
    reading = read(lines)
    rules = score(reading.view)
    classes = model.classes(reading, rules)
    return ours.log_odds(reading.view, reading.shown, log_odds(classes[:, 0], 1e-4), rules)


def sure(lines: list[str], p: float = 0.7) -> tuple[Reading, np.ndarray]:
    reading = read(lines)
    return reading, np.tile(np.array([p, (1 - p) / 2, (1 - p) / 4, (1 - p) / 4], np.float32), (len(lines), 1))


def test_a_run_is_judged_by_how_its_log_ends() -> None:
    assert told(COMPLETED) < -MARGIN
    assert told(BROKEN) > 0
    assert told(STOPPED) > -MARGIN
    assert told(COMPLETED) < told(STOPPED) < told(BROKEN)


def test_what_a_completed_run_survived_is_not_actionable() -> None:
    def called(lines: list[str]) -> list[str]:
        found = tracewinnow.winnow("\n".join(lines), budget=300)
        return [run.label for run in found.line_classes if run.first <= 64 <= run.last]

    assert called(COMPLETED) != ["actionable"]
    assert called(BROKEN) == ["actionable"]


@pytest.mark.parametrize(
    ("last", "zero", "code"),
    [
        ("The command popd exited with 0.", [1, 1, 1], [0, 0, 0]),
        ("Done. Your build exited with 1.", [0, 0, 0], [1, 1, 1]),
        ("##[error]Bash exited with code '100'.", [0, 0, 0], [1, 1, 1]),
        ("finished, status '200'", [0, 1, 1], [0, 0, 0]),
    ],
)
def test_the_last_exit_status_is_the_last_word(last: str, zero: list[int], code: list[int]) -> None:
    reading = read([*COMPLETED, "uploaded, exit code 0", last])
    rules = score(reading.view)
    found = dict(zip(names(), features(reading.view, reading.shown, rules, rules), strict=True))
    assert [found[f"zero_{tail}"] for tail in (1, 5, LAST)] == zero
    assert [found[f"code_{tail}"] for tail in (1, 5, LAST)] == code
    assert found["saved_5"] == (not any(code))


@pytest.mark.parametrize(
    "line",
    [
        "exit_code=1", '"exit_code": 137,', "'returncode': 1", "returned 1", "exited (137) 3 minutes ago", "exited with code 0x1",
        "code 3221225477", "return code negsignal.sigkill", "exitcode=0:9", "exit code is 137", "exit 1",
    ],
)  # fmt: skip
def test_codes_that_are_not_zero(line: str) -> None:
    assert module.CODE.search(line)
    assert not module.ZERO.search(line)


@pytest.mark.parametrize(
    "line", ["exit_code=0", '"exit_code": 0', "returned 0", "exited (0)", "exitcode=0:0", "exit code: [0]", "exit 0"]
)
def test_codes_that_are_zero(line: str) -> None:
    assert module.ZERO.search(line)
    assert not module.CODE.search(line)


@pytest.mark.parametrize(
    "line",
    [
        "status: 100% complete",
        "status: 10/10 complete",
        "all done, code 1.80",
        "status 200",
        "status: 0%",
        "returned 0 rows",
        "opcode 3",
    ],
)
def test_what_is_no_exit_code(line: str) -> None:
    assert not module.CODE.search(line)
    assert not module.ZERO.search(line)


@pytest.mark.parametrize(
    "line", ["finished with errors", "completed with failures", "Finished: UNSTABLE", "done: failed"]
)
def test_an_end_that_went_wrong_is_none_that_went_well(line: str) -> None:
    reading = read([*STEPS, line])
    rules = score(reading.view)
    found = dict(zip(names(), features(reading.view, reading.shown, rules, rules), strict=True))
    assert found["done_1"] == 0


def test_an_outcome_model_that_does_not_fit_is_none(tmp_path: Path) -> None:
    found = registry.arrays(module.FILE)
    registry.save(module.FILE, {**found, "weights": found["weights"][:-1]}, {}, tmp_path)
    assert "not one for each" in str(shipped(tmp_path))


def test_the_shift_is_graded_and_bounded() -> None:
    reading, p = sure(COMPLETED)
    before = np.log(p[:, 0] / (1 - p[:, 0]))
    last = before
    for outcome in (5.0, 0.0, -MARGIN, -MARGIN - 0.1, -MARGIN - 0.5, -50.0):
        after = quieter(p, reading.view, outcome)
        np.testing.assert_allclose(after.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(after[:, 1] / after[:, 2], 2, rtol=1e-4)
        odds = np.log(after[:, 0] / (1 - after[:, 0]))
        assert (odds <= last + 1e-5).all()
        assert (odds >= before - MOST - 1e-3).all()
        last = odds
        if outcome >= -MARGIN:
            assert after is p
    np.testing.assert_allclose(last, before - MOST, atol=1e-3)


def test_a_loss_that_is_no_number_keeps_its_word() -> None:
    reading, p = sure([*STEPS[:30], "epoch 3 step 31 loss: nan", *STEPS[30:]])
    after = quieter(p, reading.view, -50.0)
    assert after[30, 0] == pytest.approx(p[30, 0])
    assert after[29, 0] < 0.1


@pytest.mark.parametrize("outcome", ["stopped", "crashed", "running"])
def test_what_an_event_tells_is_not_judged(outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocess, "outcome_model", lambda: pytest.fail("asked"))
    job = JobState(outcome=outcome)
    if outcome == "stopped":
        job.exit_code = 1
    trace = Trace(COMPLETED, job_id="job", job=job)
    assert "outcome" not in preprocess.preprocess(trace, Options(budget=300)).versions


def test_a_stop_without_its_exit_code_is_judged() -> None:
    trace = Trace(COMPLETED, job_id="job", job=JobState(outcome="stopped"))
    found = preprocess.preprocess(trace, Options(budget=300))
    ours = shipped()
    assert isinstance(ours, Outcome)
    assert found.versions["outcome"] == ours.version


def test_the_ranking_does_not_hang_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    long = [*COMPLETED, *STEPS, *COMPLETED]
    with_it = tracewinnow.winnow("\n".join(long), budget=200)
    monkeypatch.setattr(preprocess, "outcome_model", lambda: "none")
    without = tracewinnow.winnow("\n".join(long), budget=200)
    assert with_it.text == without.text
    assert [(s.first, s.last, s.score) for s in with_it.segments] == [
        (s.first, s.last, s.score) for s in without.segments
    ]


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("step 3/12", 0.25),
        ("epoch 2 of 2", 1),
        ("Epoch 1: 100%|####| 7/7 [00:03<00:00]", 1),
        (" 40%|####      |", 0.4),
        ("2025/03/18 10:11:12 started", None),
        ("accuracy 100%", None),
        ("/usr/lib/3/12", None),
        ("9/3", None),
        ("no number", None),
    ],
)
def test_progress(line: str, share: float | None) -> None:
    assert progress(line) == share


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=60), st.floats(-20, 20))
def test_any_log_has_features(lines: list[str], said: float) -> None:
    reading = read(lines)
    found = features(reading.view, reading.shown, np.full(len(lines), said, np.float32), score(reading.view))
    assert found.shape == (len(names()),)
    assert np.isfinite(found).all()


def test_the_shipped_model_holds_its_signs() -> None:
    found = shipped()
    assert isinstance(found, Outcome), found
    signs = np.array(list(module.signed_names().values()))
    assert (found.weights * signs >= 0).all()
    assert (found.weights != 0).sum() > 20


def test_an_absent_model_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(shipped(tmp_path), str)
    registry.save(module.FILE, {"feature_names": np.array(["other"])}, {}, tmp_path / "other")
    assert "other features" in str(shipped(tmp_path / "other"))
    monkeypatch.setattr(preprocess, "outcome_model", lambda: "no model 'outcome.npz' in x")
    result = PreprocessedTrace()
    reading, p = sure(COMPLETED)
    assert preprocess.not_completed(reading, score(reading.view), p, result) == 0
    assert result.versions["outcome"] == "none"
    assert [(note.stage, note.what) for note in result.notes] == [("denoise", "fallback")]
    assert "outcome.npz" in result.notes[0].reason

"""Evidence recall: what counts as shown, and whose word the stages hear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracewinnow.models.denoiser.training import evidence
from tracewinnow.models.denoiser.training.corpus import Log
from tracewinnow.models.denoiser.training.dataset import Segment
from tracewinnow.models.denoiser.training.fit import fit, lines_of
from tracewinnow.models.denoiser.training.run import gather
from tracewinnow.transforms import preprocess
from tracewinnow.transforms.judge import Judge

NOISE = [f"step {i} loss {1 / (i + 1):.4f} lr 0.001 grad_norm {i % 7}.5" for i in range(400)]


def failed(source: str, lines: list[str], marked: list[int], name: str = "x") -> Log:
    return Log(source, "p", Path(name), "failed", lines, name, marked)


def test_a_line_is_shown_by_its_text_alone() -> None:
    lines = ["2026-01-02T03:04:05.6Z \x1b[31mValueError:  bad\x1b[0m", "KeyError: 3", "", "}"]
    assert evidence.recall("…\nValueError: bad\n…", lines, [0]) == 1
    assert evidence.recall("ValueError: bad", lines, [0, 1]) == 0.5
    assert evidence.recall("nothing", lines, [0, 1, 2, 3]) == 0
    assert np.isnan(evidence.recall("nothing", lines, [2, 3, 99]))


def test_which_logs_are_counted() -> None:
    short, long = ["a"] * 5, ["a"] * evidence.LONG
    logs = [
        failed("logchunks", short, [1]),
        failed("logchunks", short, []),
        failed("recorded", short, [1]),
        failed("recorded", long, [1]),
        failed("builds", long, [1], "unread"),
        failed("builds", long, [1], "read"),
        failed("algoperf", short, [3, 4]),
    ]
    labelled = {"read": [Segment([2, 3], 0), Segment([9], 3)]}
    found = [(one.source, one.marked) for one in evidence.marked(logs, labelled)]
    assert found == [("logchunks", [1]), ("recorded", [1]), ("builds", [2, 3]), ("algoperf", [3])]


def test_the_cause_is_found_and_the_account_is_by_source() -> None:
    lines = [*NOISE, "Traceback (most recent call last):", '  File "t.py", line 3, in f', "ValueError: bad", *NOISE[:3]]
    said: list[str] = []
    figures = evidence.measure([failed("logchunks", lines, [402])], {}, (200, 1000), said.append)
    assert figures["logchunks"]["recall"] == {"200": 1.0, "1000": 1.0}
    assert said == ["evidence: logchunks"]
    assert evidence.table(figures)[2] == "| logchunks | 1 | 1.000 | 1.000 |"
    assert evidence.table({"logchunks": evidence.summed([("p", [float("nan")])], (200,))})[2:] == []


def test_answers_are_measured_like_logs() -> None:
    lines = [*NOISE, "Traceback (most recent call last):", '  File "t.py", line 3, in f', "ValueError: bad", *NOISE[:3]]
    log = failed("logchunks", lines, [402])
    figures = evidence.measure([log], {}, (200,), lambda said: None, evidence.of_the_job)
    assert figures["logchunks"]["recall"] == {"200": 1.0}


@pytest.fixture(scope="module")
def judge() -> Judge:
    found = gather(None, quick=True)
    lines = lines_of(found)
    return fit(found, lines, np.arange(0, len(lines.label), 3), seed=1)


def test_without_a_blind_model_a_source_is_left_out(judge: Judge) -> None:
    assert evidence.measure([failed("logchunks", ["x"] * 9, [1])], {"cidiff": judge}, (200,), lambda said: None) == {}


def test_the_model_that_is_measured_is_the_one_given(judge: Judge) -> None:
    before = preprocess.judge
    with evidence.judged_by(judge):
        assert preprocess.judge() is judge
        assert isinstance(preprocess.encoder(), str)
    assert preprocess.judge is before
    with evidence.judged_by(None):
        assert preprocess.judge is before


def test_an_unknown_source_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["evidence", "--sources", "loghub"])
    with pytest.raises(SystemExit):
        evidence.main()
    assert "no source loghub; it is one of logchunks" in capsys.readouterr().err

"""Labels: joined by hash, missing ones named, agreement counted."""

from __future__ import annotations

import lzma
import re
from pathlib import Path

import pytest

from tracewinnow.models.denoiser.training import labels
from tracewinnow.models.denoiser.training.corpus import Log


def log(*lines: str) -> Log:
    return Log("made", "up", Path("x"), "failed", list(lines), "0123456789abcdef")


def row(lines: str, text: str, log: str = "0123456789abcdef") -> dict[str, str]:
    return {"source": "made", "log": log, "lines": lines, "text": text, "template": "t", "label": "a"}


def test_labels_are_read_plain_and_packed(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"log": "1"}\n')
    (tmp_path / "two.jsonl.xz").write_bytes(lzma.compress(b'{"log": "2"}\n{"log": "3"}\n'))
    assert [row["log"] for row in labels.rows(tmp_path)] == ["1", "2", "3"]


def test_ranges() -> None:
    assert labels.ranges("1") == [0]
    assert labels.ranges("3-5,9") == [2, 3, 4, 8]


def test_join_tells_what_is_missing_and_what_changed() -> None:
    right = row("1-2", labels.text_hash(["a", "b"]))
    found = labels.join([log("a", "b")], [right, row("1", "0" * 16), row("1", "0" * 16, log="f" * 16)])
    assert (found["joined"], found["text differs"], found["log missing"]) == (1, 1, 1)
    assert found["missing logs"] == {"made": 1}


def test_kappa_is_agreement_beyond_chance() -> None:
    assert labels.kappa([(True, True), (False, False)]) == 1
    assert labels.kappa([(True, False), (False, True)]) == -1
    assert labels.kappa([(True, True), (True, False), (False, True), (False, False)]) == 0


def test_the_labels_of_the_repository_are_what_their_readme_says() -> None:
    rows = labels.rows()
    report = labels.report(rows)
    assert report["templates"] >= 6000
    assert report["logs"] >= 300
    assert report["read twice"] >= 0.15 * report["segments"]
    for one in rows:
        assert set(one) <= {
            "source",
            "log",
            "lines",
            "text",
            "template",
            "label",
            "before",
            "second",
            "third",
            "alike",
            "beside",
            "doubt",
            "apart",
            "apart_or",
        }  # and no text
        assert re.fullmatch(r"[0-9a-f]{16}", one["text"] + one["log"][:0])
        assert one["label"] in labels.CLASSES
        assert labels.ranges(one["lines"]) == sorted(labels.ranges(one["lines"]))


@pytest.mark.parametrize("letter", labels.CLASSES)
def test_readers_agree_on_every_class(letter: str) -> None:
    assert labels.report(labels.rows())["by class"][labels.CLASSES[letter]]["kappa"] > 0.7


def test_readings_apart_are_counted_by_their_hesitation() -> None:
    some = [
        {"label": "a", "apart": "a"},
        {"label": "c", "apart": "n", "apart_or": "c"},
        {"label": "m", "apart": "n"},
        {"label": "n", "second": "n"},
    ]
    assert labels.apart(some) == {
        "segments": 3,
        "agreement": pytest.approx(1 / 3),
        "or second choice": pytest.approx(2 / 3),
        "without hesitation": 2,
        "agreement of these": 0.5,
    }
    assert labels.apart(some[3:]) == {}

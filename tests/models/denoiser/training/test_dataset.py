"""Labelled logs as arrays."""

from __future__ import annotations

from pathlib import Path

from tracewinnow.models.denoiser.training import dataset, run
from tracewinnow.models.denoiser.training.corpus import Log

SCENE = """# scenario: a made-up job | outcome: failed | workload: ci
m\tversion 1.2.3
c\tstep 1
a\tTraceback (most recent call last):
a\t  File "x.py", line 1, in <module>
a\tValueError: no
n\t
"""


def test_a_scene_becomes_segments_of_one_class(tmp_path: Path) -> None:
    (tmp_path / "01.txt").write_text(SCENE)
    found = dataset.study([], tmp_path / "none", sorted(tmp_path.glob("*.txt")))
    (one,) = found.samples
    assert one.outcome == "failed"
    assert one.label.tolist() == [2, 1, 0, 0, 0, -1]  # a line that shows nothing is not judged
    assert len(set(one.segment[2:5].tolist())) == 1
    assert found.templates[one.template[1]] == b"step #"


def test_what_is_no_scene_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "01.txt").write_text("hello\n")
    (tmp_path / "02.txt").write_text("# scenario: x | outcome: ok | workload: ci\n")
    assert dataset.study([], tmp_path, sorted(tmp_path.glob("*.txt"))).samples == []


def test_labels_meet_their_log_and_others_are_missing(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"source": "made", "log": "aaaa", "lines": "2", "label": "a"}\n'
        '{"source": "made", "log": "aaaa", "lines": "3", "label": "n", "beside": 1}\n'
        '{"source": "made", "log": "bbbb", "lines": "1", "label": "n"}\n'
    )
    one = Log("made", "up", Path("x.log"), "failed", ["fine", "boom", "fine"], "aaaa", marked=[1])
    found = dataset.study([one], tmp_path)
    assert found.missing == ["bbbb"]
    assert found.samples[0].label.tolist() == [-1, 0, 3]
    assert found.samples[0].sampled.tolist() == [False, True, False]
    assert found.samples[0].marked.tolist() == [False, True, False]


def test_every_scene_of_the_repository_is_read_whole() -> None:
    files = sorted(run.SCENES.rglob("*.txt"))
    read = {log.path for log, _ in dataset.scenes(files)}
    assert read == set(files)
    for path in files:
        for line in path.read_text().splitlines()[1:]:
            assert line == "" or (line[0] in "acmn" and line[1:2] == "\t"), f"{path}: {line!r}"

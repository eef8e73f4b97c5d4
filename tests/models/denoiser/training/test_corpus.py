"""The corpus: logs, outcomes and marks as their sources write them down."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

from tracewinnow.models.denoiser.training import corpus

JOB = {"name": "one", "framework": "numpy", "workload": "cpu_training", "outcome": "failed", "evidence": [2]}


def test_marks_count_a_lone_carriage_return_as_a_line_end() -> None:
    lines = ["first", "10 %\r50 %\r100 %", "boom\r", "last"]
    assert corpus.marks(lines, "E 1\nC 2\nE 5-6") == {0, 2, 3}
    assert corpus.marks(lines, "E 3") == {1}


def test_a_pair_of_builds(tmp_path: Path) -> None:
    folder = tmp_path / "cidiff/project/run1"
    folder.mkdir(parents=True)
    (folder / "pass.log").write_text("fine\n")
    (folder / "fail.log.gz").write_bytes(gzip.compress(b"fine\nerror: boom\n"))
    (folder / "groundtruth").write_text("E 2\n")
    failed, fine = corpus.logs(tmp_path)
    assert (failed.outcome, failed.marked, failed.lines[1]) == ("failed", [1], "error: boom")
    assert (fine.outcome, fine.marked) == ("ok", [])
    assert failed.project == fine.project


def test_recordings_from_a_folder_and_packed_are_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs/one.log").write_bytes(b"start\nboom \xff\n")
    (folder / "jobs.jsonl").write_text(json.dumps(JOB) + "\n" + json.dumps({**JOB, "name": "lost"}) + "\n")
    packed = tmp_path / "recorded.tar.xz"
    with tarfile.open(packed, "w:xz") as out:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                member = tarfile.TarInfo(str(path.relative_to(folder)))
                member.size = path.stat().st_size
                out.addfile(member, io.BytesIO(path.read_bytes()))
    one, other = corpus.recordings(folder), corpus.recordings(packed)
    assert list(one) == list(other)
    (found,) = corpus.recordings(packed)
    assert (found.marked, found.workload, found.lines[1]) == ([1], "cpu_training", "boom \udcff")


def test_jobs_of_our_own_are_of_the_source_they_are_named_for(tmp_path: Path) -> None:
    for name in ("builds", "recorded", "out"):
        (tmp_path / name / "logs").mkdir(parents=True)
        (tmp_path / name / "logs/one.log").write_bytes(name.encode())
        (tmp_path / name / "jobs.jsonl").write_text(json.dumps(JOB) + "\n")
    written = [tmp_path / name for name in ("builds", "recorded", "out")]
    assert [log.source for log in corpus.logs(None, written)] == ["builds", "recorded", "recorded"]
    assert [log.lines for log in corpus.logs(None, written, sources=("builds",))] == [["builds"]]


def test_nothing_there_is_nothing_found(tmp_path: Path) -> None:
    assert list(corpus.logs(tmp_path)) == []
    assert list(corpus.logs(None)) == []


def test_jobs_of_others_are_a_source_of_their_own() -> None:
    found = list(corpus.logs(None, corpus.RECORDED, ("jobs",)))
    assert {one.source for one in found} == {"jobs"}
    assert sum(one.outcome == "failed" and bool(one.marked) for one in found) > 120
    assert all(line < len(one.lines) for one in found for line in one.marked)

"""The catalogue holds together, and a recording tells where its evidence is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from models.denoiser.recordings.catalog import Job, jobs
from models.denoiser.recordings.record import PROGRAMS, evidence, record, rewritten


def test_catalog_is_sound() -> None:
    found = jobs()
    assert len({job.name for job in found}) == len(found) >= 90
    assert {"ok", "failed"} == {job.outcome for job in found}
    for job in found:
        assert (PROGRAMS.parent / "requirements" / f"{job.venv}.txt").exists(), job.name
        for program in re.findall(r"\b\w+\.(?:py|sh)\b", job.command):
            assert (PROGRAMS / program).exists(), f"{job.name} runs {program}, which is not there"
        for pattern in job.evidence:
            re.compile(pattern.removeprefix("last:"))


def test_evidence_numbers_lines_by_line_feed() -> None:
    printed = b"step 1\rstep 2\rstep 3\nboom one\nboom two\n    raise Boom('boom')\nboom three\nboom four\n"
    assert evidence(printed, ("boom",)) == [2, 3, 5]
    assert evidence(printed, ("last:boom", "step 3")) == [1, 6]
    assert evidence(printed, ("absent",)) == []


def test_paths_of_the_machine_are_rewritten() -> None:
    work, venv = Path("/srv/scratch/job-1"), Path("/srv/venvs/torch")
    printed = (
        b'File "/srv/scratch/job-1/train.py"\nFile "/srv/venvs/torch/lib/x.py"\n' + bytes(Path.home()) + b"/.cache\n"
    )
    assert (
        rewritten(printed, work, venv)
        == b'File "/home/ml/project/train.py"\nFile "/opt/venv/lib/x.py"\n/home/ml/.cache\n'
    )


@pytest.mark.parametrize(("command", "fits"), [("echo start; echo 'no disk' >&2; exit 3", True), ("echo start", False)])
def test_a_job_is_run_and_judged(tmp_path: Path, command: str, fits: bool) -> None:
    (tmp_path / "logs").mkdir()
    python = tmp_path / "venvs/plain/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    job = Job("plain", "none", "launcher", "bash", "plain", command, "disk full", "There is no disk.", ("no disk",))
    for _ in range(2):
        assert record(job, tmp_path, tmp_path / "venvs") is fits
    (line,) = (tmp_path / "jobs.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert told["evidence"] == ([2] if fits else [])
    assert told["exit_code"] == (3 if fits else 0)
    assert (tmp_path / "logs/plain.log").read_bytes().startswith(b"start\n")

"""Who a process is, from its launcher's environment."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tracewinnow.logger import identity, session
from tracewinnow.schemas import validate
from tracewinnow.schemas.telemetry_pb2 import TelemetryBatch


def made(environ: dict[str, str], **given: object) -> session.Session:
    empty = dict.fromkeys(("job", "model", "user", "bootstrap", "rank", "world_size", "labels"))
    return identity.new_session(**{"accelerator": "gpu", "retain": 1, **empty, **given}, environ=environ)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environ", "rank", "size"),
    [
        ({"RANK": "3", "WORLD_SIZE": "8"}, 3, 8),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, 0, 2),
        ({"OMPI_COMM_WORLD_RANK": "5", "OMPI_COMM_WORLD_SIZE": "6"}, 5, 6),
        ({"RANK": "1", "SLURM_PROCID": "0"}, 1, None),
        ({"RANK": "one"}, None, None),
        ({}, None, None),
    ],
)
def test_ranks(environ: dict[str, str], rank: int | None, size: int | None) -> None:
    found = made(environ).identity
    assert (found.rank, found.world_size) == (rank, size)


def test_the_job() -> None:
    assert made({"SLURM_JOB_ID": "77"}).identity.job_id == "77"
    assert made({"SLURM_JOB_ID": "77"}, job="mine").identity.job_id == "mine"
    assert made({}).identity.job_id != made({}).identity.job_id
    assert len(made({}, job="x" * 5000).identity.job_id) == 256


@pytest.mark.parametrize(
    ("given", "found"),
    [("llama-7b\n", "llama-7b"), (" a\x00b\r\nc\x7f", "a b c"), ("x" * 5000, "x" * 256), ("\u2028 ok", "ok"), (7, "7")],
)
def test_a_name_that_no_pipeline_would_take_is_made_one(given: object, found: str) -> None:
    who = made({}, job=given).identity
    assert (who.job_id, made({"SLURM_JOB_ID": str(given)}).identity.job_id) == (found, found)
    batch = TelemetryBatch.FromString(who.head(0, time.time_ns()))
    validate.check_head(batch, time.time_ns())
    assert bool(identity.renamed(given, who, {})) == (str(given) != found)
    assert bool(identity.renamed(None, who, {"SLURM_JOB_ID": str(given)})) == (str(given) != found)


def test_a_name_of_blanks_is_none() -> None:
    who = made({"SLURM_JOB_ID": "77"}, job=" \n").identity
    assert who.job_id == "77"
    assert "'77', not ' \\n'" in identity.renamed(" \n", who, {})
    assert identity.renamed(None, made({}).identity, {}) == ""
    assert made({"SLURM_JOB_ID": "\t"}).identity.job_id.strip()


def test_what_cannot_be_is_replaced() -> None:
    strange = made({}, accelerator="quantum", rank="x", world_size=-1, retain="soon", labels={1: 2}).identity
    assert (strange.accelerator, strange.rank, strange.world_size, strange.labels) == ("cpu", None, None, {"1": "2"})
    strange.head(0, 0)


def test_a_session_comes_back(tmp_path: Path) -> None:
    known = made({"RANK": "2"}, job="j", bootstrap="h:1", labels={"a": "b"})
    known.save(tmp_path)
    assert session.sessions(tmp_path) == [known.identity.process_uuid]
    assert session.load(tmp_path, known.identity.process_uuid) == known
    assert known.topic == "telemetry.gpu.v1"


def test_this_process_is_alive_and_a_dead_one_is_not(tmp_path: Path) -> None:
    known = made({})
    assert known.alive(tmp_path)
    known.process_start += 1  # another process with our number
    assert not known.alive(tmp_path)


def test_only_one_may_hold_the_lock(tmp_path: Path) -> None:
    held = session.lock(tmp_path, "c" * 32)
    assert held is not None
    assert session.lock(tmp_path, "c" * 32) is None
    os.close(held)
    again = session.lock(tmp_path, "c" * 32)
    assert again is not None
    os.close(again)


def test_a_spool_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        identity.spool_directory(tmp_path / "file")


def test_versions_are_found_without_running_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    known, lazy = ModuleType("known_library"), ModuleType("lazy_library")
    known.__dict__["__version__"] = "1.2"
    lazy.__dict__["__getattr__"] = lambda name: pytest.fail(f"{name} was asked for")
    monkeypatch.setitem(sys.modules, "known_library", known)
    monkeypatch.setitem(sys.modules, "lazy_library", lazy)
    found = identity.versions()
    assert found["known_library"] == "1.2"
    assert "lazy_library" not in found

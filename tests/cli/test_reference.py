"""`tracewinnow reference` as a user meets it."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path

import pytest
import zstandard

from tests.cli.conftest import Cli
from tracewinnow.cli import logfiles
from tracewinnow.transforms.reference import FORMAT

WARNED = "ERROR: could not open the cache, going on without\n"
HEALTHY = "".join(f"step {i} loss {1 / (i + 1):.3f}\n" for i in range(50)) + WARNED + "done\n"
FAILED = HEALTHY.replace("done\n", "OSError: shard 7 is gone\n")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "good-1.log").write_text(HEALTHY)
    (tmp_path / "good-2.log.gz").write_bytes(gzip.compress(HEALTHY.replace("done", "all done").encode()))
    (tmp_path / "good-3.log.zst").write_bytes(zstandard.compress(HEALTHY.encode()))
    (tmp_path / "failed.log").write_text(FAILED)
    return tmp_path


def shown(cli: Cli, name: str) -> dict[str, object]:
    said = cli("reference", "show", name, "--json")
    assert said.code == 0
    found = json.loads(said.out)
    assert isinstance(found, dict)
    return found


def test_build_merge_show_and_use(cli: Cli, logs: Path) -> None:
    said = cli("reference", "build", "good-1.log", "good-2.log.gz", "--out", "two.json")
    assert (said.code, said.out) == (0, "two.json: 2 runs, 4 templates\n")
    assert cli("reference", "build", "good-3.log.zst", "--out", "one.json").code == 0
    assert cli("reference", "merge", "two.json", "one.json", "--out", "all.json").code == 0
    assert cli("reference", "build", "good-1.log", "good-2.log.gz", "good-3.log.zst", "--out", "same.json").code == 0
    assert (logs / "all.json").read_bytes() == (logs / "same.json").read_bytes()
    facts = shown(cli, "all.json")
    assert {name: facts[name] for name in ("runs", "templates", "in_every_run", "noise_in_at_least_half", "in_one_run")} == {
        "runs": 3, "templates": 4, "in_every_run": 2, "noise_in_at_least_half": 3, "in_one_run": 1,
    }  # fmt: skip
    assert "runs: 3\n" in cli("reference", "show", "all.json").out
    without = json.loads(cli("preprocess", "failed.log", "--json").out)
    known = json.loads(cli("preprocess", "failed.log", "--reference", "all.json", "--json").out)
    assert class_of(without, 51) == class_of(known, 52) == "actionable"
    assert class_of(known, 51) == "noise"


def class_of(result: dict[str, list[dict[str, object]]], line: int) -> object:
    return next(one["label"] for one in result["line_classes"] if int(str(one["last"])) >= line)


def test_a_profile_is_replaced_and_keeps_its_link(cli: Cli, logs: Path) -> None:
    assert cli("reference", "build", "good-1.log", "--out", "kept.json").code == 0
    (logs / "link.json").symlink_to("kept.json")
    assert cli("reference", "build", "good-2.log.gz", "kept.json", "--out", "link.json").code == 0
    assert (logs / "link.json").is_symlink()
    assert shown(cli, "kept.json")["runs"] == 2
    assert sorted(path.name for path in logs.iterdir() if path.name.startswith(".")) == []


def test_what_is_no_profile_is_not_overwritten(cli: Cli, logs: Path) -> None:
    said = cli("reference", "build", "good-1.log", "--out", "failed.log")
    assert said.code == 2
    assert "failed.log is there and is no profile: it is not overwritten" in said.err
    assert (logs / "failed.log").read_text() == FAILED


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("build", "--out", "x.json"), 2, "LOG"),
        (("build", "good-1.log"), 2, "--out"),
        (("build", "nowhere.log", "--out", "x.json"), 2, "there is no file nowhere.log"),
        (("build", "good-1.log", "--out", "nowhere/x.json"), 2, "there is no folder"),
        (("build", "good-1.log", "--out", "."), 2, "no profile"),
        (("build", "empty.log", "--out", "x.json"), 1, "none of the logs holds a line"),
        (("build", "good-1.log", "cut.gz", "--out", "x.json"), 1, "is not whole"),
        (("merge", "good-1.log", "--out", "x.json"), 2, "good-1.log is no profile"),
        (("merge", "damaged.json", "--out", "x.json"), 1, "damaged.json: the profile is damaged"),
        (("show", "good-1.log"), 2, "good-1.log is no profile"),
        (("show", "nowhere.json"), 2, "there is no file"),
    ],
)
def test_what_cannot_be_is_said(cli: Cli, logs: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    (logs / "empty.log").write_bytes(b"")
    (logs / "cut.gz").write_bytes(gzip.compress(HEALTHY.encode())[:-20])
    (logs / "damaged.json").write_text(json.dumps({"format": FORMAT, "runs": 1, "templates": {"0" * 16: 2}}))
    said = cli("reference", *arguments)
    assert (said.code, said.out) == (code, "")
    assert says in said.err
    assert "Traceback" not in said.err
    assert not (logs / "x.json").exists()


def test_an_empty_log_is_passed_over(cli: Cli, logs: Path) -> None:
    (logs / "empty.log").write_bytes(b"")
    said = cli("reference", "build", "empty.log", "good-1.log", "--out", "x.json")
    assert (said.code, said.out) == (0, "x.json: 1 run, 3 templates\n")
    assert "Skipped: empty.log is empty" in said.err


def test_the_same_profile_twice_is_noted(cli: Cli, logs: Path) -> None:
    cli("reference", "build", "good-1.log", "--out", "one.json")
    said = cli("reference", "merge", "one.json", "one.json", "--out", "twice.json")
    assert said.code == 0
    assert "its runs count twice" in said.err


def test_a_large_file_that_begins_like_a_profile_is_not_read_whole(
    cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfiles, "LARGEST", 1000)
    (logs / "large.json").write_text(json.dumps({"format": FORMAT, "runs": 1, "templates": {}}) + " " * 2000)
    for arguments in (("reference", "show", "large.json"), ("preprocess", "failed.log", "--reference", "large.json")):
        said = cli(*arguments)
        assert said.code == 1
        assert "large.json has more than the" in said.err


def test_a_full_disk_leaves_the_profile_that_was_there(cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("reference", "build", "good-1.log", "--out", "kept.json")
    before = (logs / "kept.json").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = cli("reference", "build", "good-2.log.gz", "--out", "kept.json")
    assert said.code == 1
    assert "No space left on device" in said.err
    assert (logs / "kept.json").read_bytes() == before
    assert [path.name for path in logs.iterdir() if path.name.startswith(".")] == []


def test_every_flipped_bit_is_found(cli: Cli, logs: Path) -> None:
    cli("reference", "build", "good-1.log", "good-2.log.gz", "--out", "whole.json")
    whole = (logs / "whole.json").read_bytes().rstrip()
    chance = random.Random(0)
    for at in [*range(60), *chance.sample(range(60, len(whole)), 40)]:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << chance.randrange(8)
        (logs / "flipped.json").write_bytes(flipped)
        said = cli("preprocess", "failed.log", "--reference", "flipped.json")
        assert (said.code, said.out) == (1, ""), flipped
        assert "flipped.json: " in said.err
        assert cli("reference", "build", "flipped.json", "--out", "other.json").code == 1


def test_a_name_in_a_profile_that_is_no_number(cli: Cli, logs: Path) -> None:
    (logs / "odd.json").write_text(json.dumps({"format": FORMAT, "runs": 1, "templates": {"x" * 16: 1}}))
    said = cli("reference", "show", "odd.json")
    assert said.code == 1
    assert "'xxxxxxxxxxxxxxxx' is no template's name" in said.err
    assert "invalid literal" not in said.err


def test_binary_data_as_a_healthy_log_is_noted(cli: Cli, logs: Path) -> None:
    (logs / "bin").write_bytes(random.Random(0).randbytes(5000))
    for words in (("reference", "build", "bin", "--out", "b.json"), ("preprocess", "failed.log", "--reference", "bin")):
        said = cli(*words)
        assert said.code == 0
        assert "Note: the reference bin is binary data, not a log" in said.err


def test_a_profile_on_standard_output_stands_there_alone(cli: Cli, logs: Path) -> None:
    cli("reference", "build", "good-1.log", "--out", "one.json")
    built = cli("reference", "build", "good-1.log", "--out", "-")
    merged = cli("reference", "merge", "one.json", "--out", "-")
    for said in (built, merged):
        assert (said.code, said.out) == (0, (logs / "one.json").read_text())
        assert "profile: 1 run, 3 templates" in said.err
    assert not (logs / "-").exists()

"""Output on a disk that fills up: never cut without a word, and what was there before stays."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_series import numeric, write
from tests.serving.conftest import Writer
from tracewinnow.cli.output import whole
from tracewinnow.schemas.errors import BadUse

LIMIT = 300  # bytes of a file, as a disk that is full then


def limited(folder: Path, *arguments: str, buffered: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    with (folder / "out").open("wb") as out:
        return subprocess.run(
            [sys.executable, "-m", "tracewinnow", *arguments],
            cwd=folder, stdout=out, stderr=subprocess.PIPE, text=True, env=environment,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)),
        )  # fmt: skip


@pytest.mark.parametrize("buffered", [True, False], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("preprocess", "a.log", "--json"),
        ("jobs", "--json", "--warehouse", "warehouse"),
        ("series", "llama-1", "--warehouse", "warehouse"),
        ("codec", "encode", "a.npz", "-"),
    ],
    ids=lambda words: words[0],
)
def test_output_that_is_cut_is_an_error(
    tmp_path: Path, writer: Writer, arguments: tuple[str, ...], buffered: bool
) -> None:
    write(writer, numeric())
    (tmp_path / "a.log").write_text("step 1 loss 2.0\n" * 50)
    np.savez(tmp_path / "a.npz", values=np.random.default_rng(0).normal(size=(500, 2)))
    said = limited(tmp_path, *arguments, buffered=buffered)
    assert (said.returncode, said.stderr) == (1, "Error: File too large: standard output\n")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("series", "llama-1", "--warehouse", "warehouse", "--out", "kept.csv"), "kept.csv"),
        (("series", "llama-1", "--warehouse", "warehouse", "--out", "kept.parquet"), "kept.parquet"),
        (("show", "llama-1", "--warehouse", "warehouse", "--html", "kept.html"), "kept.html"),
        (("codec", "encode", "a.npz", "kept.twc"), "kept.twc"),
        (("codec", "encode", "a.npz", "new.twc"), "new.twc"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_file_is_there_whole_or_as_it_was(
    tmp_path: Path, writer: Writer, arguments: tuple[str, ...], name: str
) -> None:
    write(writer, numeric())
    np.savez(tmp_path / "a.npz", values=np.random.default_rng(0).normal(size=(500, 2)))
    if name.startswith("kept"):
        (tmp_path / name).write_text("of yesterday")
    before = {path.name for path in tmp_path.iterdir()} | {"out"}
    said = limited(tmp_path, *arguments)
    assert (said.returncode, said.stderr) == (1, f"Error: File too large: {name}\n")
    assert {path.name for path in tmp_path.iterdir()} == before
    assert not (tmp_path / name).exists() or (tmp_path / name).read_text() == "of yesterday"


def test_a_link_stays_a_link_and_rights_stay(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "link").symlink_to("real")
    with whole(tmp_path / "link") as place:
        place.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o600


def test_an_error_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised, whole(tmp_path / "a"):
        (tmp_path / "other").read_text()
    assert raised.value.filename == str(tmp_path / "other")
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_written_itself(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", values=np.zeros((5, 2)))
    command = [sys.executable, "-m", "tracewinnow", "codec", "encode", "a.npz", "/dev/stdout"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout.startswith(b"\x93TWC")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "adir").mkdir()
    with pytest.raises(BadUse, match=r"adir is a folder: give the name of a file"), whole(tmp_path / "adir"):
        pytest.fail("there is nothing to write to")
    with (
        pytest.raises(BadUse, match=r"there is no folder .*/nowhere to write .*/nowhere/a in"),
        whole(tmp_path / "nowhere/a"),
    ):
        pytest.fail("there is nothing to write to")

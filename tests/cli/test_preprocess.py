"""`tracewinnow preprocess` as a user meets it."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner, Result

from tracewinnow import packed
from tracewinnow.cli.logfiles import chunks, healthy
from tracewinnow.cli.verbs import tracewinnow
from tracewinnow.schemas.errors import BadInput, BadUse
from tracewinnow.transforms.reference import Reference
from tracewinnow.transforms.winnow import profile

LOG = "\n".join([*(f"step {i} loss 1.0" for i in range(500)), "OSError: shard 7 is gone"])


def run(*arguments: str, data: str | bytes | None = None) -> Result:
    return CliRunner().invoke(tracewinnow, ["preprocess", *arguments], input=data)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "job.log"
    path.write_text(LOG)
    return path


def test_text_goes_to_standard_output(log: Path) -> None:
    result = run(str(log), "--budget", "60")
    assert result.exit_code == 0
    assert "OSError: shard 7 is gone" in result.stdout
    assert result.stderr == ""


def test_standard_input(log: Path) -> None:
    assert (
        run("-", "--budget", "60", data=LOG).stdout
        == run(str(log), "--budget", "60").stdout
        == run("--budget", "60", data=LOG).stdout
    )


@pytest.mark.parametrize(("name", "pack"), [("job.log.gz", gzip.compress), ("job.log.zst", zstandard.compress)])
def test_packed_files(tmp_path: Path, log: Path, name: str, pack: object) -> None:
    assert callable(pack)
    (tmp_path / name).write_bytes(pack(LOG.encode()))
    assert run(str(tmp_path / name)).stdout == run(str(log)).stdout


def test_json_is_the_whole_result_with_snake_case_names(log: Path) -> None:
    found = json.loads(run(str(log), "--budget", "60", "--json").stdout)
    assert found["tokens_after"] == str(len(found["text"]) and found["tokens_after"])
    assert {"text", "tokens_before", "segments", "line_classes", "classes", "route", "versions", "seconds"} <= set(
        found
    )
    assert {"first", "last", "label", "score", "keep_probability", "confidence"} <= set(found["segments"][0])


def test_references_are_logs_or_profiles(tmp_path: Path, log: Path) -> None:
    healthy = profile([LOG])
    assert isinstance(healthy, Reference)
    (tmp_path / "healthy.json").write_text(healthy.save())
    (tmp_path / "healthy.log").write_text(LOG)
    by_log = json.loads(run(str(log), "--reference", str(tmp_path / "healthy.log"), "--json").stdout)
    by_profile = json.loads(run(str(log), "--reference", str(tmp_path / "healthy.json"), "--json").stdout)
    assert by_log["line_classes"][-1]["label"] == "noise"
    assert by_log["content_address"] == by_profile["content_address"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--budget", "0"], "--budget is 0"),
        (["--budget", "-3"], "--budget is -3"),
        (["nowhere.log"], "there is no file nowhere.log"),
        (["."], "is a folder"),
        (["--reference", "nowhere.log", "-"], "there is no file nowhere.log"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], says: str) -> None:
    result = run(*arguments, data="x")
    assert isinstance(result.exception, BadUse)
    assert says in str(result.exception)


@pytest.mark.parametrize("head", [b"\x1f\x8b\x08\x00broken", b"\x28\xb5\x2f\xfdbroken"])
def test_a_broken_archive_is_said(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "job.gz").write_bytes(head)
    result = run(str(tmp_path / "job.gz"))
    assert isinstance(result.exception, BadInput)
    assert "is not whole" in str(result.exception)


def test_an_encoding_is_noted_on_standard_error() -> None:
    result = run("-", data="Error: größer\n".encode("utf-16"))
    assert result.stdout == "Error: größer\n"
    assert "decoded from UTF-16" in result.stderr


def test_binary_data_is_noted_and_what_is_text_in_it_is_found(tmp_path: Path) -> None:
    (tmp_path / "core").write_bytes(random.Random(0).randbytes(50_000) + b"\nRuntimeError: shard 7 is gone\n")
    result = run(str(tmp_path / "core"), "--budget", "500")
    assert result.exit_code == 0
    assert "Note: this is binary data, not a log" in result.stderr
    (tmp_path / "cut.log").write_bytes(
        bytes(10_000) + b"\nRuntimeError: shard 7 is gone\n"
    )  # after a crash of the machine
    result = run(str(tmp_path / "cut.log"), "--budget", "500")
    assert result.stderr == ""
    assert "RuntimeError: shard 7 is gone" in result.stdout


def test_an_empty_log() -> None:
    result = run("-", data="")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "Note: standard input is empty: there is nothing to winnow\n"


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_what_is_packed_otherwise_is_read(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "packed").write_bytes(pack(b"step 1\nValueError: bad\n"))
    assert "ValueError: bad" in run(str(tmp_path / "packed")).stdout


PACKERS = [(gzip.compress, "gzip"), (zstandard.compress, "zstandard"), (lzma.compress, "xz"), (bz2.compress, "bzip2")]


@pytest.mark.parametrize(("pack", "name"), PACKERS, ids=[name for _, name in PACKERS])
def test_what_is_packed_and_not_whole_is_refused_by_its_format(
    tmp_path: Path, pack: Callable[[bytes], bytes], name: str
) -> None:
    data = pack(random.Random(0).randbytes(5000).hex("\n", 20).encode())
    middle = len(data) // 2
    for wrong in (data[:-1], data[:-30], data[:middle], data[:middle] + bytes(900) + data[middle + 900 :]):
        (tmp_path / "packed").write_bytes(wrong)
        result = run(str(tmp_path / "packed"))
        assert isinstance(result.exception, BadInput)
        assert result.exception.code == f"broken-{name}"
        assert result.exception.reason.startswith(f"{tmp_path}/packed, packed with {name}, is not whole: ")
        assert result.stdout == ""
    assert "standard input, packed with" in str(run("-", data=wrong).exception)


def test_a_disk_that_fails_is_no_damage(log: Path, tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    stream = packed.unpacked(Failing(), zstandard.compress(b"x"))
    with pytest.raises(OSError, match="Input/output error"):
        next(chunks(stream, "a.zst"))


def test_an_empty_path_is_refused(log: Path) -> None:
    assert "it is empty" in run("").stderr
    result = run(str(log), "--reference", "")
    assert (result.exit_code, "--reference" in result.stderr) == (2, True)
    with pytest.raises(BadUse, match="an empty path names no file"):
        healthy([""])


def test_standard_input_is_read_once_and_a_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + bytes(30))
    assert "can be read once" in str(run("-", "--reference", "-", data="x").exception)
    assert "unpack it" in str(run(str(tmp_path / "a.zip")).exception)


def test_lines_that_differ_in_what_they_count_are_not_said_to_be_alike(tmp_path: Path) -> None:
    log = [
        *LOG.split("\n")[:300],
        *(f"worker {i} exited with code {137 if i == 2 else 0}" for i in range(8)),
        "job failed",
    ]
    (tmp_path / "exit.log").write_text("\n".join(log))
    text = run(str(tmp_path / "exit.log"), "--budget", "120").stdout
    assert "worker 2 exited with code 137\n" in text


def test_what_is_asked_for_comes_first(tmp_path: Path) -> None:
    log = [*LOG.split("\n")[:300], "evaluation hook: validation split has 0 batches", *LOG.split("\n")[300:]]
    (tmp_path / "asked.log").write_text("\n".join(log))
    text = run(str(tmp_path / "asked.log"), "--budget", "60", "--query", "evaluation hook").stdout
    assert "validation split has 0 batches" in text

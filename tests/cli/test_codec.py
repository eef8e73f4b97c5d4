"""`tracewinnow codec` from and to every format, with pipes and with wrong input."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tracewinnow.cli.codec import command
from tracewinnow.codec import decode_series
from tracewinnow.schemas.errors import BadUse, TracewinnowError

VALUES = np.exp(np.random.default_rng(0).normal(size=(300, 3))).astype(np.float32)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "norms.npz"
    np.savez(path, norms=VALUES, names=np.array(["a", "b", "c"]), steps=np.arange(0, 3000, 10))
    return path


def call(*arguments: object, data: bytes | None = None) -> bytes:
    result = CliRunner().invoke(
        command, [str(a) for a in arguments], input=data, catch_exceptions=False, standalone_mode=False
    )
    return result.stdout_bytes


@pytest.mark.parametrize("kind", ["npz", "csv", "parquet"])
def test_there_and_back(table: Path, tmp_path: Path, kind: str) -> None:
    call("encode", table, tmp_path / "norms.twc")
    call("decode", tmp_path / "norms.twc", tmp_path / f"norms.{kind}")
    told = call(
        "encode", tmp_path / f"norms.{kind}", tmp_path / "again.twc", "--json", *["--array", "values"] * (kind == "npz")
    )
    assert json.loads(told)["samples"] == 900
    series = decode_series((tmp_path / "again.twc").read_bytes())
    assert series.names == ["a", "b", "c"]
    assert series.steps.tolist() == list(range(0, 3000, 10))
    # CSV has no float32: its numbers come back as float64.
    assert np.array_equal(series.values.astype(np.float32), VALUES)


def test_the_source_is_not_written_over(table: Path) -> None:
    before = table.read_bytes()
    with pytest.raises(BadUse, match="is the file that is read"):
        call("encode", table, table)
    assert table.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("loss,loss\n1,2\n", "the column `loss` stands there twice"),
        ("id,loss\n9007199254740993,1.5\n", "the column `id` holds integers that float64 cannot"),
    ],
)
def test_columns_that_would_change_are_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(TracewinnowError, match=told):
        call("encode", tmp_path / "a.csv", tmp_path / "a.twc")


def test_integers_beside_fractions_come_back_where_they_can(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,loss\n9007199254740992,1.5\n-3,2.5\n")
    call("encode", tmp_path / "a.csv", tmp_path / "a.twc")
    assert decode_series((tmp_path / "a.twc").read_bytes()).values.tolist() == [[9007199254740992, 1.5], [-3, 2.5]]


def test_pipes_names_and_steps(table: Path) -> None:
    packed = call("encode", "--from", "npz", "--rel-error", "1e-3", "-", "-", data=table.read_bytes())
    text = call(
        "decode", "--to", "csv", "--name", "b", "--first-step", "50", "--last-step", "60", "-", "-", data=packed
    )
    rows = text.decode().splitlines()
    assert rows[0] == '"step","b"'
    assert [row.split(",")[0] for row in rows[1:]] == ["50", "60"]
    assert abs(float(rows[1].split(",")[1]) / VALUES[5, 1] - 1) <= 1e-3


def test_inspect(table: Path, tmp_path: Path) -> None:
    call("encode", table, tmp_path / "norms.twc", "--rel-error", "0.01")
    found = json.loads(call("inspect", "--json", tmp_path / "norms.twc"))
    assert (found["content"], found["names"], found["steps"], found["rel_error"]) == ("series", 3, 300, 0.01)
    assert "name b" in call("inspect", tmp_path / "norms.twc").decode()


def test_sparse_tensors(tmp_path: Path) -> None:
    tensor = np.zeros((3, 4, 5), np.float16)
    tensor[1, 2, 3] = 1.5
    np.savez(tmp_path / "x.npz", activations=tensor)
    call("encode", tmp_path / "x.npz", tmp_path / "x.twc", "--sparse")
    call("decode", tmp_path / "x.twc", tmp_path / "back.npz")
    back = np.load(tmp_path / "back.npz")
    assert (back["shape"].tolist(), back["index"].tolist(), back["values"].tolist()) == ([3, 4, 5], [33], [1.5])


@pytest.mark.parametrize(
    ("content", "arguments", "error"),
    [
        (b"not npz", ["encode", "--from", "npz", "-", "-"], TracewinnowError),
        (b"a,b\n1,x\n", ["encode", "--from", "csv", "-", "-"], TracewinnowError),
        (b"a\n1\n", ["encode", "--from", "csv", "--rel-error", "-1", "-", "-"], BadUse),
        (b"", ["encode", "-", "-"], BadUse),
        (b"nothing of ours", ["decode", "--to", "npz", "-", "-"], TracewinnowError),
        (b"nothing of ours", ["inspect", "-"], TracewinnowError),
    ],
)
def test_wrong_input_is_said_plainly(content: bytes, arguments: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        call(*arguments, data=content)


def test_objects_are_never_unpickled() -> None:
    out = io.BytesIO()
    np.savez(out, values=np.array([{"a": 1}], dtype=object))
    with pytest.raises(TracewinnowError, match="objects"):
        call("encode", "--from", "npz", "-", "-", data=out.getvalue())


def test_the_exit_codes() -> None:
    run = [sys.executable, "-m", "tracewinnow", "codec"]
    assert subprocess.run([*run, "inspect", "-"], input=b"x", capture_output=True).returncode == 1
    assert subprocess.run([*run, "encode", "-", "-"], input=b"x", capture_output=True).returncode == 2

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
from tracewinnow.codec import SeriesWriter, decode_series
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


@pytest.fixture
def container(table: Path, tmp_path: Path) -> bytes:
    """Of several chunks."""
    with SeriesWriter(tmp_path / "long.twc", names=["a", "b"], chunk_steps=1000) as writer:
        for values in np.random.default_rng(0).normal(size=(4000, 2)):
            writer.append(values)
    return (tmp_path / "long.twc").read_bytes()


def recover(tmp_path: Path, data: bytes) -> subprocess.CompletedProcess[str]:
    (tmp_path / "cut.twc").write_bytes(data)
    command = [sys.executable, "-m", "tracewinnow", "codec", "decode", "cut.twc", "x.csv", "--recover"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)


def test_what_was_recovered_is_told(tmp_path: Path, container: bytes) -> None:
    said = recover(tmp_path, container)
    assert (said.returncode, said.stderr) == (0, "cut.twc: 4,000 of 4,000 steps recovered\n")
    broken = bytearray(container)
    broken[len(broken) * 5 // 8] ^= 0xFF  # in the third chunk; the table is whole
    said = recover(tmp_path, bytes(broken))
    assert (said.returncode, said.stderr) == (0, "cut.twc: 2,000 of 4,000 steps recovered\n")
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 2001
    said = recover(tmp_path, container[: len(container) // 2])
    assert said.returncode == 0
    assert "steps recovered; how many there were cannot be known" in said.stderr


def test_nothing_recovered_is_a_failure(tmp_path: Path, container: bytes) -> None:
    said = recover(tmp_path, container[:2000])
    assert said.returncode == 1
    assert "0 steps recovered; how many there were cannot be known" in said.stderr
    assert not (tmp_path / "x.csv").exists()


def test_advice_is_that_of_the_command_line(tmp_path: Path, container: bytes) -> None:
    (tmp_path / "cut.twc").write_bytes(container[:-9])
    for verb in (["inspect", tmp_path / "cut.twc"], ["decode", tmp_path / "cut.twc", tmp_path / "x.csv"]):
        with pytest.raises(TracewinnowError, match="`tracewinnow codec decode --recover` reads what is whole"):
            call(*verb)


def test_no_advice_that_does_not_help(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", activations=np.eye(9))
    call("encode", tmp_path / "x.npz", tmp_path / "x.twc", "--sparse")
    (tmp_path / "cut.twc").write_bytes((tmp_path / "x.twc").read_bytes()[:-9])
    with pytest.raises(TracewinnowError, match=r"the container was not finished \(at byte"):
        call("decode", tmp_path / "cut.twc", tmp_path / "back.npz", "--recover")


def test_only_a_bundle_has_parts(tmp_path: Path, container: bytes) -> None:
    with pytest.raises(BadUse, match="is no bundle and has no parts: leave --part out"):
        call("decode", tmp_path / "long.twc", tmp_path / "x.csv", "--part", "4")


def test_a_closed_standard_input_is_said() -> None:
    command = f"{sys.executable} -m tracewinnow codec encode - - --from csv <&-"
    said = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (2, "Error: standard input is closed: give a file\n")


def test_a_container_that_cannot_be_written(tmp_path: Path, table: Path) -> None:
    with pytest.raises(BadUse, match="is a folder: give the name of a file"):
        call("encode", table, tmp_path)


def test_a_span_that_ends_before_it_begins(tmp_path: Path, container: bytes) -> None:
    with pytest.raises(BadUse, match="--first-step 9 is behind --last-step 2"):
        call("decode", tmp_path / "long.twc", tmp_path / "x.csv", "--first-step", "9", "--last-step", "2")
    assert not (tmp_path / "x.csv").exists()
    call("decode", tmp_path / "long.twc", tmp_path / "x.csv", "--first-step", "9", "--last-step", "9")
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 2

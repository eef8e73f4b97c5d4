"""Values that are empty, mostly because a shell variable is not set; and addresses of brokers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

EMPTY = [
    (("show", "job", "--warehouse", "w", "--html", ""), "--html"),
    (("show", "", "--warehouse", "w"), "JOB"),
    (("stream", "--bootstrap", "", "--warehouse", "w"), "--bootstrap"),
    (("stream", "--bootstrap", "x", "--warehouse", "w", "--until-idle", ""), "--until-idle"),
    (("stream", "--bootstrap", "x", "--warehouse", "w", "--tables", ""), "--tables"),
    (("run", "--job", "", "--", "true"), "--job"),
    (("run", "--spool", "", "--", "true"), "--spool"),
    (("run", "--bootstrap", "", "--", "true"), "--bootstrap"),
    (("sync", ".", "--bootstrap", ""), "--bootstrap"),
    (("sync", ".", "--job", ""), "--job"),
    (("export", "--date", "", "--warehouse", "w"), "--date"),
    (("rebuild", "--job", "", "--warehouse", "w"), "--job"),
    (("series", "job", "--name", "a", "--name", "", "--warehouse", "w"), "--name"),
    (("series", "job", "--out", "", "--warehouse", "w"), "--out"),
    (("reference", "build", "a.log", "--out", ""), "--out"),
    (("codec", "encode", "a.npz", ""), "TARGET"),
    (("train", "denoiser", "--quick", "--out", ""), "--out"),
    (("jobs", "--warehouse", ""), "--warehouse"),
]


@pytest.mark.parametrize(("arguments", "named"), EMPTY, ids=[" ".join(arguments) for arguments, _ in EMPTY])
def test_an_empty_value_is_refused_by_its_name(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], named: str
) -> None:
    (tmp_path / "a.log").write_text("hello\n")
    for _ in range(2):  # a verb that was imported before is checked, too
        said = cli(*arguments)
        assert (said.code, said.out) == (2, "")
        assert f"Invalid value for '{named}': it is empty" in said.err


def test_an_empty_argument_of_a_command_is_its_own(cli: Cli) -> None:
    assert cli("run", "--spool", "spool", "--", "test", "-z", "").code == 0


@pytest.mark.parametrize(
    "verb",
    [("run", "--spool", "spool", "--", "touch", "began"), ("sync", "."), ("stream", "--warehouse", "w")],
    ids=lambda verb: verb[0],
)
def test_a_port_that_cannot_be(cli: Cli, tmp_path: Path, verb: tuple[str, ...]) -> None:
    said = cli(verb[0], "--bootstrap", "kafka:9092,127.0.0.1:99999", *verb[1:])
    assert (said.code, said.out) == (2, "")
    assert "Invalid value for '--bootstrap': the port of '127.0.0.1:99999' is no number from 1 to 65535" in said.err
    assert os.listdir(tmp_path) == ["stdin"]


@pytest.mark.parametrize("verb", [("sync", "."), ("stream", "--warehouse", "w")], ids=lambda verb: verb[0])
def test_a_port_of_the_environment_that_cannot_be(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TRACEWINNOW_BOOTSTRAP", "127.0.0.1:99999")
    said = cli(*verb)
    assert (said.code, said.out) == (2, "")
    assert "the port of '127.0.0.1:99999' is no number from 1 to 65535" in said.err

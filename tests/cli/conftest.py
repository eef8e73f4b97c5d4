"""The command line as its user meets it: exit code, stdout and stderr of a call in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.serving.conftest import Writer
from tracewinnow.cli import main


class Said(NamedTuple):
    code: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Calls `tracewinnow ARGUMENTS` through its entry point, with tmp_path as the working directory and an empty stdin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRACEWINNOW_WAREHOUSE", raising=False)
    monkeypatch.delenv("TRACEWINNOW_BOOTSTRAP", raising=False)

    def call(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["tracewinnow", *arguments])
        with (tmp_path / "stdin").open("w+") as empty:
            monkeypatch.setattr(sys, "stdin", empty)
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capfd.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Said(code, out, err)

    return call


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "warehouse")

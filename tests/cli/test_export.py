"""export as a user meets it."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli
from tests.serving.conftest import Writer, batch


@pytest.mark.parametrize("day", ["2026-01-01", "2026-1-1"])
def test_a_day_may_be_written_without_zeros(cli: Cli, writer: Writer, day: str) -> None:
    writer.window([batch("a", 0, 0, ["x"])])
    said = cli("export", "--date", day, "--warehouse", "warehouse")
    assert (said.code, said.out.splitlines()[-1]) == (0, "warehouse/export/dt=2026-01-01/manifest.json")


def test_what_is_no_day_is_said(cli: Cli, writer: Writer) -> None:
    writer.window([batch("a", 0, 0, ["x"])])
    said = cli("export", "--date", "yesterday", "--warehouse", "warehouse")
    assert said.code == 2
    assert "--date 'yesterday' is not a day: give YYYY-MM-DD" in said.err


def test_what_a_weight_stands_for_is_said(cli: Cli) -> None:
    told = " ".join(cli("export", "--help").out.split())
    assert "Of noise, and of progress that only says that it went on, a draw keeps some" in told
    assert "Every other segment has weight 1 and stands for itself alone" in told

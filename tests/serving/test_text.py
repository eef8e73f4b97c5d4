"""Values as people read them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.serving.text import SECOND, duration, plain, printable, table, utc


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.85, "850 ms"), (37, "37 s"), (245, "4 min 05 s"), (11_520, "3 h 12 min"), (187_200, "2 d 04 h")],
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(int(seconds * SECOND)) == told


def test_times() -> None:
    assert utc(1_767_225_605 * SECOND) == "2026-01-01 00:00:05"
    assert utc(0) == ""


@settings(deadline=None)
@given(st.text())
def test_plain_text_cannot_steer_a_terminal(text: str) -> None:
    for char in plain(text):
        assert char.isprintable() or unicodedata.category(char) == "Zs"


def test_printable_keeps_lines() -> None:
    assert printable("a\n\tb\x1b[0m") == "a\n\tb\\x1b[0m"


def test_a_table_is_aligned_and_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = table(("A", "N", "WHY"), [["\x1b[31mlong name\x1b[0m", "7", "x" * 80], ["b", "123", "y"]], right={1}).split(
        "\n"
    )
    assert lines[0] == "A            N  WHY"
    assert lines[2] == "b          123  y"
    assert lines[1].endswith("…")
    assert len(lines[1].replace("\x1b[31m", "").replace("\x1b[0m", "")) == 40

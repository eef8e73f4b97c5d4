"""Lines fetched back from the archive."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.conftest import START, WINDOW, Writer, batch
from tracewinnow.schemas.errors import BadUse
from tracewinnow.serving.raw import NotArchived, find_window, line_range, read_trace, window_name
from tracewinnow.stores.archive import Archive
from tracewinnow.stores.errors import TooLarge


@pytest.mark.parametrize(("text", "found"), [("7-31", (7, 31)), ("7", (7, 7)), (" 1 - 2 ", (1, 2))])
def test_ranges(text: str, found: tuple[int, int]) -> None:
    assert line_range(text) == found


@pytest.mark.parametrize("text", ["", "-", "0", "0-3", "5-4", "1-", "-3", "a-b", "1-2-3", "1" * 40, "١-٢"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(BadUse):
        line_range(text)


@settings(deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_range_or_bad_use(text: str) -> None:
    try:
        first, last = line_range(text)
    except BadUse:
        return
    assert 1 <= first <= last


def test_window_by_name_time_or_alone(writer: Writer) -> None:
    archive = Archive(writer.store)
    writer.window([batch("a", 0, 0, ["x"])])
    assert find_window(archive, "a", None) == START
    writer.window([batch("a", 0, 1, ["x"], window=2)], window=2)
    second = START + 2 * WINDOW
    with pytest.raises(BadUse, match="2 windows; choose one with --window: 2026-01-01T00:00:00Z, 2026-01-01T00:02:00Z"):
        find_window(archive, "a", None)
    assert find_window(archive, "a", window_name(second)) == second
    assert find_window(archive, "a", str(second)) == second
    assert find_window(archive, "a", "2026-01-01T01:01:30+01:00") == START
    with pytest.raises(NotArchived, match="no window"):
        find_window(archive, "a", "2025-01-01")
    with pytest.raises(NotArchived, match="nothing of job"):
        find_window(archive, "b", None)
    with pytest.raises(BadUse, match="not a window"):
        find_window(archive, "a", "yesterday")


def test_lines_are_those_of_the_trace(writer: Writer) -> None:
    trace = writer.window([batch("a", 1, 0, ["one", "two\nthree"]), batch("a", 0, 0, ["zero"])])
    read = read_trace(Archive(writer.store), "a", START)
    assert "\n".join(read.lines) == trace.text
    assert read.lines == ["zero", "one", "two", "three"]


def test_too_large_a_window_is_refused_before_it_is_read(writer: Writer) -> None:
    writer.window([batch("a", 0, 0, ["x" * 1000])])
    with pytest.raises(TooLarge):
        read_trace(Archive(writer.store), "a", START, max_bytes=100)

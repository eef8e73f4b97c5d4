"""Lines fetched back from the archive."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.conftest import START, WINDOW, Writer, batch
from tracewinnow.schemas.errors import BadUse
from tracewinnow.serving import raw
from tracewinnow.serving.raw import NotArchived, find_window, line_range, read_trace, series_of, window_name
from tracewinnow.serving.warehouse import Warehouse
from tracewinnow.stores.archive import Archive, plan_parts


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
    with pytest.raises(NotArchived, match=r"no window 2026-01-01T00:01:30Z\. It has: 2026-01-01T00:00:00Z, 2026"):
        find_window(archive, "a", "2026-01-01T00:01:30Z", WINDOW)
    assert find_window(archive, "a", "2026-01-01T00:00:59Z", WINDOW) == START
    with pytest.raises(NotArchived, match="no window"):
        find_window(archive, "a", "2025-01-01")
    with pytest.raises(NotArchived, match="nothing of job"):
        find_window(archive, "b", None)
    for name in ("yesterday", "9" * 5000):
        with pytest.raises(BadUse, match="not a window"):
            find_window(archive, "a", name)


def test_lines_are_those_of_the_trace(writer: Writer) -> None:
    trace = writer.window([batch("a", 1, 0, ["one", "two\nthree"]), batch("a", 0, 0, ["zero"])])
    read = read_trace(Archive(writer.store), "a", START)
    assert "\n".join(read.lines) == trace.text
    assert read.lines == ["zero", "one", "two", "three"]


def test_of_too_large_a_window_one_part_is_read(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracewinnow.serving.raw.plan_parts", lambda entries: plan_parts(entries, 1200))
    writer.window([batch("a", 0, number, [f"{number}" * 1000]) for number in range(3)])
    archive = Archive(writer.store)
    assert [read_trace(archive, "a", START, part).lines for part in range(3)] == [[f"{n}" * 1000] for n in range(3)]
    with pytest.raises(BadUse, match="has 3 parts, numbered from 0; there is no part 3"):
        read_trace(archive, "a", START, 3)


def test_series_go_on_over_windows(writer: Writer) -> None:
    for window in range(2):
        made = batch("a", 0, window, [], window=window)
        for place in range(3):
            event = made.events.add(time_ns=made.created_ns + place)
            event.metrics.step = 10 * window + place
            event.metrics.metrics.add(name="loss", value=1.0)
            made.events.add(time_ns=made.created_ns + place).memory.device = "host"
        writer.window([made], window=window)
    series, left_out = series_of(Warehouse(str(writer.folder)), "a", [START, START + WINDOW])
    steps = {one.name: one.steps.tolist() for one in series}
    assert steps == {"loss": [0, 1, 2, 10, 11, 12], "host": [0, 1, 2, 3, 4, 5]}
    assert left_out == ""


def test_series_of_too_much_are_those_of_the_last_windows(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    for window in range(2):
        writer.window([batch("a", 0, window, ["x" * 500], window=window)], window=window)
    monkeypatch.setattr(raw, "CHART_BYTES", 800)
    assert series_of(Warehouse(str(writer.folder)), "a", [START, START + WINDOW]) == (
        [],
        "From the last 1 of 2 windows; the archive holds all.",
    )

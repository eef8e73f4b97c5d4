"""Rows of JSON and Parquet: understood where they can be, kept as text where not."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st

from tests.pipelines.feed import batch, new_process
from tracewinnow.pipelines.rows import batch_of, event_of, job_of, parse_line, parse_time

NS = 1_767_323_045_000_000_000
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda c: st.lists(c) | st.dictionaries(st.text(), c),
)


@pytest.mark.parametrize(
    "value",
    [
        *(1767323045, 1767323045.0, 1767323045000, 1767323045000000, NS, "1767323045", "2026-01-02T03:04:05Z"),
        *("2026-01-02 03:04:05", "2026-01-02T04:04:05+01:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)),
    ],
)
def test_times(value: object) -> None:
    assert parse_time(value) == NS


@pytest.mark.parametrize("value", [None, True, "yesterday", 12, -5, float("nan"), float("inf"), 1e30, [], 10**400])
def test_no_times(value: object) -> None:
    assert parse_time(value) is None


@given(
    st.dictionaries(st.text(), anything)
    | st.dictionaries(st.sampled_from(["step", "time", "msg", "rank", "level"]), anything)
)
def test_any_row_becomes_an_event(row: dict[str, object]) -> None:
    event, _ = event_of(row, b"raw")
    assert event.WhichOneof("kind") in ("log", "metrics")
    job_of(row)
    batch_of(row)


@given(st.binary())
def test_any_line_is_parsed_or_not(line: bytes) -> None:
    assert parse_line(line) is None or isinstance(parse_line(line), dict)


def test_deep_nesting_is_no_crash() -> None:
    assert parse_line(b"[" * 100_000) is None


def test_fields() -> None:
    event, time_ns = event_of({"levelname": "WARN", "message": "low", "rank": 2, "ts": NS}, b"")
    assert (event.log.text, event.log.level, event.log.rank, time_ns) == (b"low", 30, 2, NS)
    event, _ = event_of({"step": 3, "loss": 1.5, "lr": 1}, b"")
    assert [(m.name, m.value) for m in event.metrics.metrics] == [("loss", 1.5), ("lr", 1.0)]
    row = {"step": 3, "loss": 1.5, "note": "more than numbers"}
    event, _ = event_of(row, json.dumps(row).encode())
    assert event.log.text == json.dumps(row).encode()


@pytest.mark.parametrize(
    ("row", "step", "numbers"),
    [
        ({"step": 10, "loss": 0.5, "time": 12.25}, 10, {"loss": 0.5, "time": 12.25}),
        ({"step": 10, "loss": 0.5, "ts": NS, "created": 77}, 10, {"loss": 0.5, "created": 77}),
        ({"step": 10, "loss": 0.5, "ts": NS, "datetime": "2026-01-02 03:04:05"}, 10, {"loss": 0.5}),
        ({"step": 10, "loss": 0.5, "time": None, "rank": 3}, 10, {"loss": 0.5}),
        ({"step": 10, "loss": 0.5, "rank": -1}, 10, {"loss": 0.5, "rank": -1}),
        ({"step": 10, "global_step": 70, "loss": 0.5}, 10, {"global_step": 70, "loss": 0.5}),
        ({"step": 10, "loss": 0.5, "job": "j", "run": "j"}, 10, {"loss": 0.5}),
    ],
)
def test_every_number_of_a_row_is_a_metric(row: dict[str, object], step: int, numbers: dict[str, float]) -> None:
    event, _ = event_of(row, b"raw")
    assert (event.metrics.step, {m.name: m.value for m in event.metrics.metrics}) == (step, numbers)


@pytest.mark.parametrize(
    "row",
    [
        {"step": 10, "loss": 0.5, "job": "j", "run": "another name"},
        {"step": 10, "loss": 0.5, "ts": NS, "datetime": "2026-01-02 09:04:05"},
        {"step": 10, "loss": 0.5, "time": "12 s"},
        {"step": 10, "loss": None, "lr": 0.5},
    ],
)
def test_a_row_that_says_more_than_numbers_is_a_text(row: dict[str, object]) -> None:
    assert event_of(row, b"raw")[0].log.text == b"raw"


def test_a_row_with_a_name_twice_is_kept_as_it_came() -> None:
    line = b'{"msg": "first reason", "msg": "second", "time": 1767323045, "level": "error", "rank": 3, "job": "j"}'
    row = parse_line(line)
    assert row is not None
    event, time_ns = event_of(row, line)
    assert (event.log.text, event.log.level, event.log.rank, time_ns, job_of(row)) == (line, 40, 3, NS, "j")
    line = b'{"msg": "x", "extra": {"a": 1, "a": 2}}'
    assert event_of(parse_line(line) or {}, line)[0].log.text == line


def test_a_batch_in_json() -> None:
    sent = batch("j", new_process(), 0, ["a", "b"])
    assert batch_of(MessageToDict(sent)) == sent
    assert batch_of({"job_id": "j", "events": "no list"}) is None


def test_half_a_pair_of_utf16_is_text_all_the_same() -> None:
    row = parse_line(b'{"message": "ERROR \\ud83d boom"}')
    assert row is not None
    event, _ = event_of(row, b"")
    assert event.log.text.decode() == "ERROR \ufffd boom"


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"msg": "step failed", "time": 1772323200, "level": "ERROR", "rank": 3, "job": "j"}, "step failed"),
        ({"msg": "eval", "error": "overflow", "loss": 0.5, "none": None}, "eval error=overflow loss=0.5"),
        (
            {"msg": "failed", "logger": "train", "exc_info": "Traceback:\n  File\nOSError: gone\n", "where": "a b"},
            'failed logger=train where="a b"\nTraceback:\n  File\nOSError: gone',
        ),
        ({"msg": "x", "level": "odd", "rank": "two", "run": 7, "ts": "soon"}, "x level=odd rank=two run=7 ts=soon"),
        ({"message": "a", "text": "b", "tags": {"k": [1]}}, 'a text=b tags={"k": [1]}'),
    ],
)
def test_what_stands_beside_the_text_is_kept(row: dict[str, object], text: str) -> None:
    assert event_of(row, b"raw")[0].log.text.decode() == text


@pytest.mark.parametrize(
    "value", ["9999-12-31T23:59:59Z", 1e19, "0001-01-01T00:00:00", "0001-01-01T00:00:00+23:59", 10**25]
)
def test_times_that_mean_never(value: object) -> None:
    assert parse_time(value) is None


@pytest.mark.parametrize("when", ["1999-01-01T00:00:00", "2199-01-01T00:00:00"])
def test_a_time_that_would_be_refused_is_text(when: str) -> None:
    event, time_ns = event_of({"msg": "x", "time": when}, b"raw")
    assert (event.log.text, time_ns) == (f"x time={when}".encode(), None)


def test_half_a_pair_of_utf16_in_names() -> None:
    assert job_of({"job": "a\ud800"}) == "a?"
    assert event_of({"step": 1, "\ud800": 0.5}, b"raw")[0].metrics.metrics[0].name == "?"

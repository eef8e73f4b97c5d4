"""Files as a source: which time, which job, and which lines a task has, whatever is written to the file meanwhile."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tracewinnow.pipelines.file_source import last_time
from tracewinnow.pipelines.file_text import lines, lines_before
from tracewinnow.pipelines.files import base_time, job_named, printable, tail_of

SECOND = 1_000_000_000
NOW = 1_767_323_045 * SECOND  # 2026-01-02 03:04:05


@pytest.mark.parametrize(
    ("head", "mtime", "wanted"),
    [
        (b"2026-01-01 00:00:00 step 1", NOW - 5, 1_767_225_600 * SECOND),
        (b"2026-01-02 12:04:05 of a clock nine hours ahead", NOW - 5, NOW - 5),
        (b"licence until 2030-01-01 00:00:00\n2026-01-01 00:00:00 step 1", NOW - 5, 1_767_225_600 * SECOND),
        (b"no time", NOW - 5, NOW - 5),
        (b"no time", 0, NOW),  # 1970
        (b"1999-01-01 00:00:00", 0, NOW),
        (b"no time", NOW + 86400 * SECOND, NOW),
    ],
)
def test_the_time_of_lines_without_one_is_never_refused(head: bytes, mtime: int, wanted: int) -> None:
    assert base_time(head, 1000, mtime, NOW) == wanted


def test_a_name_that_is_not_utf8_names_a_job() -> None:
    assert job_named(Path("bad\udcff.log.gz")) == "bad\\xff"
    assert job_named(Path("two\nlines.log")) == "two\\x0alines"
    assert job_named(Path("größer.log")) == printable("größer") == "größer"


def test_what_is_written_behind_the_end_of_a_task_is_not_its(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"one\ntwo\nthree: and more\nfour\n")
    assert list(lines(str(log), 100, 0, 13, 13)) == [(0, b"one"), (4, b"two"), (8, b"three")]
    assert list(lines(str(log), 100, 4, 6, 13)) == [(4, b"two")]
    assert list(lines(str(log), 100, 8, 29, 29)) == [(8, b"three: and more"), (24, b"four")]


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_lines_backwards(block: int, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"one\n\ntwo\nthree\nfour")
    assert list(lines_before(str(log), 15, block)) == [b"", b"three", b"two", b"", b"one"]
    assert list(lines_before(str(log), 0, block)) == [b""]


def test_what_follows_a_row_goes_on_at_its_time(tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    moment = datetime.fromtimestamp(NOW / SECOND, timezone.utc)
    rows = [json.dumps({"time": (moment + timedelta(minutes=i)).isoformat(), "msg": "x"}) for i in range(3)]
    log.write_text("\n".join([*rows, "Traceback:", "  File"]) + "\n")
    size = log.stat().st_size
    assert NOW + 120 * SECOND + 2 <= last_time(str(log), size, 5) < NOW + 121 * SECOND
    assert last_time(str(log), len(rows[0]), 5) == NOW
    log.write_text('{"msg": "never a time"}\n' * 4)
    assert last_time(str(log), 96, 5) >= 9


def test_the_tail_tells_files_apart_that_begin_alike(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"=" * 5000 + b"first")
    before = tail_of(log, 5005)
    log.write_bytes(b"=" * 5000 + b"first and more")
    assert tail_of(log, 5005) == before
    log.write_bytes(b"=" * 5000 + b"other")
    assert tail_of(log, 5005) != before

"""What is still to do of a file: the ranges of a broken run as they were, what was written since, all of another file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tracewinnow.pipelines import files
from tracewinnow.pipelines.file_state import State, begin, finish, to_do
from tracewinnow.pipelines.files import Task

BASE = 1_767_323_045_000_000_000


def planned(path: Path, state: State, again: bool = False) -> list[Task]:
    """What a command would do; the state is as a file holds it."""
    return to_do(path, None, json.loads(json.dumps(state)).get(str(path)), again)


def done(path: Path, state: State, again: bool = False) -> list[Task]:
    """The same, and it is done."""
    tasks = planned(path, state, again)
    begin(state, tasks)
    assert finish(state, tasks) == []
    return tasks


def ranges(tasks: list[Task]) -> list[tuple[int, int, int]]:
    return [(task.start, task.stop, task.end) for task in tasks]


def names(tasks: list[Task]) -> list[str]:
    return [task.process_uuid("j") for task in tasks]


def grow(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.log"
    path.write_text("line\n" * 10)
    return path


@pytest.fixture
def state() -> State:
    return {}


def test_again_reads_the_ranges_that_were_read_and_then_the_rest(log: Path, state: State) -> None:
    first = done(log, state)
    assert planned(log, state) == []
    grow(log, "line\n" * 5)
    tasks = planned(log, state, again=True)
    assert ranges(tasks) == [(0, 50, 50), (50, 75, 75)]
    assert tasks[0] == first[0]
    both = done(log, state, again=True)
    assert done(log, state, again=True) == both == planned(log, state, again=True)
    assert planned(log, state) == []


def test_a_broken_run_of_a_file_that_grows_is_repeated_as_it_was(log: Path, state: State) -> None:
    begun = planned(log, state)
    begin(state, begun)  # and killed before its tick
    grow(log, "line\n" * 5)
    tasks = done(log, state)
    assert tasks[0] == begun[0]
    assert ranges(tasks) == [(0, 50, 50), (50, 75, 75)]
    grow(log, "line\n")
    begin(state, planned(log, state))
    grow(log, "line\n")
    assert ranges(planned(log, state)) == [(75, 80, 80), (80, 85, 85)]
    assert ranges(planned(log, state, again=True)) == [(0, 50, 50), (50, 75, 75), (75, 80, 80), (80, 85, 85)]


def test_the_time_of_a_broken_run_is_repeated(log: Path, state: State) -> None:
    begun = planned(log, state)
    begin(state, begun)
    grow(log, "line\n")  # and with it the time of its last change
    assert {task.base_ns for task in planned(log, state)} == {begun[0].base_ns}


def test_groups_of_one_file(log: Path, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "RANGE_BYTES", 20)
    tasks = planned(log, state)
    begin(state, tasks[:1])
    assert finish(state, tasks[:1]) == []
    assert ranges(planned(log, state)) == [(20, 40, 50), (40, 50, 50)]
    begin(state, tasks[1:2])
    grow(log, "line\n")
    assert ranges(planned(log, state)) == [(20, 40, 50), (40, 55, 55)]
    assert ranges(planned(log, state, again=True)) == [(0, 20, 50), (20, 40, 50), (40, 55, 55)]


def test_half_a_line_is_repeated_as_half_a_line(log: Path, state: State) -> None:
    grow(log, "Runtime")
    done(log, state)
    grow(log, "Error\n")
    assert ranges(done(log, state)) == [(50, 63, 63)]
    assert ranges(planned(log, state, again=True)) == [(0, 57, 57), (50, 63, 63)]


@pytest.mark.parametrize("rest", ["RuntimeError: boom\n" + "line\n" * 2000, "RuntimeError: boom\n"])
def test_another_run_that_begins_alike_is_read_whole(rest: str, log: Path, state: State) -> None:
    banner = "=" * 5000 + "\n"
    log.write_text(banner + "line\n" * 900)
    first = done(log, state)
    log.write_text(banner + rest)
    second = planned(log, state)
    assert ranges(second) == [(0, log.stat().st_size, log.stat().st_size)]
    assert set(names(second)).isdisjoint(names(first))
    assert done(log, state) == second
    assert planned(log, state, again=True) == second
    assert planned(log, state) == []


def test_another_run_as_long_as_the_one_before_has_a_name_of_its_own(log: Path, state: State) -> None:
    first = done(log, state)
    log.write_text("line\n" * 9 + "LINE\n")
    assert set(names(done(log, state))).isdisjoint(names(first))


def test_a_file_that_is_replaced_while_it_is_read_is_not_ticked_off(log: Path, state: State) -> None:
    tasks = planned(log, state)
    begin(state, tasks)
    log.write_text("other\n")
    assert finish(state, tasks) == [str(log)]
    second = planned(log, state)
    assert ranges(second) == [(0, 6, 6)]
    assert set(names(second)).isdisjoint(names(tasks))


def test_a_file_that_is_gone_is_not_ticked_off(log: Path, state: State) -> None:
    tasks = planned(log, state)
    log.unlink()
    begin(state, tasks)
    assert finish(state, tasks) == []
    assert state == {}


def test_a_packed_file_is_read_whole_or_not_at_all(
    tmp_path: Path, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "a.log.gz"
    log.write_bytes(gzip.compress(b"line\n" * 10))
    first = done(log, state)
    assert planned(log, state) == []
    assert planned(log, state, again=True) == first
    with log.open("ab") as file:
        file.write(gzip.compress(b"more\n"))
    size = log.stat().st_size
    second = done(log, state)
    assert ranges(second) == [(0, size, size)]
    assert "read whole again" in caplog.text
    assert ranges(planned(log, state, again=True)) == [(0, size, size)]
    assert planned(log, state) == []


def former(path: Path, seen: int, size: int | None = None) -> dict[str, Any]:
    """An entry as earlier versions wrote it."""
    entry = {"head": files.head_of(path, seen), "size": seen if size is None else size, "base_ns": BASE}
    return entry if size is None else {**entry, "seen": seen}


def test_the_former_state_is_understood(log: Path) -> None:
    (fresh,) = files.tasks(log, None)
    for entry in (former(log, 50), former(log, 50, 50)):
        state = {str(log): entry}
        assert planned(log, state) == []
        (repeated,) = planned(log, state, again=True)
        assert names([repeated]) == names([fresh])
        assert repeated.base_ns == BASE
    grow(log, "line\n")
    assert ranges(planned(log, state)) == [(50, 55, 55)]
    assert {task.base_ns for task in planned(log, state)} == {BASE}
    (once, rest) = planned(log, state, again=True)
    assert names([once]) == names([fresh])
    assert (rest.start, rest.stop) == (50, 55)
    done(log, state)
    assert ranges(planned(log, state, again=True))[1] == (50, 55, 55)


def test_the_former_state_of_half_a_line_and_of_large_files(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(log, "Runtime")
    state = {str(log): former(log, 57, 50)}
    grow(log, "Error\n")
    assert ranges(planned(log, state)) == [(50, 63, 63)]
    assert ranges(planned(log, state, again=True)) == [(0, 57, 57), (50, 63, 63)]
    monkeypatch.setattr(files, "RANGE_BYTES", 20)
    state = {str(log): former(log, 40, 40)}  # broken off: the line that begins before byte 40 was read to its end
    assert ranges(planned(log, state)) == [(40, 60, 63), (60, 63, 63)]
    assert ranges(planned(log, state, again=True))[:2] == [(0, 20, 63), (20, 40, 63)]


def test_a_former_time_that_was_refused_is_not_taken(log: Path) -> None:
    state = {str(log): {**former(log, 50), "base_ns": 0}}
    (task,) = planned(log, state, again=True)
    assert task.base_ns == log.stat().st_mtime_ns


def test_rows_that_were_added_go_on_at_the_last_time(tmp_path: Path, state: State) -> None:
    log = tmp_path / "a.jsonl"
    log.write_text("".join(f'{{"time": "2026-01-02T10:{i:02}:00Z", "msg": "x"}}\n' for i in range(10)))
    (first,) = done(log, state)
    grow(log, "Traceback (most recent call last):\n")
    (second,) = planned(log, state)
    assert first.base_ns < 1_767_348_540 * 10**9 <= second.base_ns < 1_767_348_541 * 10**9  # 10:09:00

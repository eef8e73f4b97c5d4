"""Which builds are tried again, and what becomes of a window that cannot be built."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.pipelines.feed import TOPIC, Broker, batch, new_process, stored
from tracewinnow.pipelines import building
from tracewinnow.pipelines.building import Building, given_up, wait_after
from tracewinnow.pipelines.local_stream import LocalStream
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.plan import State
from tracewinnow.pipelines.planned import load
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.pipelines.retry import LONGEST_WAIT
from tracewinnow.stores.objects import open_objects
from tracewinnow.stores.parquet_tables import connect

SECOND = 1_000_000_000


def test_waits_grow_to_a_bound() -> None:
    assert [wait_after(failures) for failures in (1, 2, 3, 4, 5, 6, 7, 10_000)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_letter_can_be_written_whatever_the_error_says() -> None:
    letter = given_up(("j", 60 * SECOND), "ValueError: caf\udce9 " + "x" * 10_000)
    assert "caf\\udce9" in letter.reason
    assert len(letter.SerializeToString()) < 2000


class FakeBuilders:
    """Two that answer what the test wants; a real one dies and starts for seconds."""

    each = (None, None)

    def __init__(self) -> None:
        self.hand: list[list[WindowKey]] = []
        self.answers: list[tuple[list[WindowKey], dict[str, Any]]] = []

    @property
    def building(self) -> list[WindowKey]:
        return [key for keys in self.hand for key in keys]

    @property
    def free(self) -> int:
        return len(self.each) - len(self.hand)

    def submit(self, keys: list[WindowKey]) -> None:
        self.hand.append(keys)

    def poll(self, seconds: float) -> tuple[list[WindowKey], dict[str, Any]] | None:
        return (self.hand.pop(0), self.answers.pop(0)) if self.answers else None


def test_while_a_store_is_away_one_window_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(building, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    builders, state = FakeBuilders(), State(window_ns=SECOND)
    here = Building(Settings(str(tmp_path)), state, builders, lambda: None, lambda what, counters: None)  # type: ignore[arg-type]
    for number in range(100):
        state.add((f"j{number:02d}", 0), True)
    full = {"error": "No space left on device: w/traces/x", "own_fault": False}
    assert here.submit()
    assert [len(keys) for keys in builders.hand] == [50, 50]
    builders.answers = [full, full]
    assert here.collect(0.0)
    for failures in range(2, 10):
        assert here.away == failures
        clock[0] += wait_after(failures) - 0.1
        assert not here.submit()
        clock[0] += 0.2
        assert here.submit()
        assert not here.submit()
        assert [len(keys) for keys in builders.hand] == [1]
        builders.answers = [full]
        assert here.collect(0.0)
    assert len(state.pending) == 100
    clock[0] += LONGEST_WAIT
    assert here.submit()
    builders.answers = [{"traces": 1}]
    assert here.collect(0.0)
    assert len(state.pending) == 99
    for number in range(20):
        state.add((f"new{number:02d}", 0), True)
    clock[0] += LONGEST_WAIT
    requests = here._requests(clock[0])
    assert sorted(map(len, requests)) == [1] * 99 + [10, 10]  # what failed stands alone, so that it spoils no other's


def slow(stream: LocalStream, seconds: float, wanted: Any) -> None:
    """Turn until `wanted()`, for at most so long."""
    until = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < until, "waited in vain"
        stream.turn()
        time.sleep(0.05)


def test_an_outage_of_the_store_costs_no_window(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(building, "FIRST_WAIT", 0.05)
    old = time.time_ns() - 100 * SECOND
    stream = LocalStream(broker.bootstrap, [TOPIC], Settings(str(tmp_path), window_ns=10 * SECOND))
    (tmp_path / "traces").write_text("stands in the way, as a disk that is full does")
    broker.send(*(batch(f"j{n}", new_process(), 0, ["a"], created_ns=old, crash="over") for n in range(3)))
    slow(stream, 60, lambda: stream.building.away >= 7)
    assert len({*stream.state.pending, *stream.builders.building}) == 3
    assert f"could not be built: File exists: {tmp_path}" in caplog.text
    assert "is given up" not in caplog.text
    (tmp_path / "traces").unlink()
    stream.flush()
    stream.close()
    assert {job for job, _, _ in stored(tmp_path)} == {"j0", "j1", "j2"}
    with connect(tmp_path) as tables:
        assert tables.execute("select count(*) from dead_letters").fetchall() == [(0,)]


def test_waiting_for_a_store_can_be_stopped(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "FIRST_WAIT", 0.05)
    stream = LocalStream(broker.bootstrap, [TOPIC], Settings(str(tmp_path), window_ns=10 * SECOND))
    (tmp_path / "traces").write_text("in the way")
    broker.send(batch("j", new_process(), 0, ["a"], crash="over"))
    slow(stream, 60, lambda: stream.building.away)
    stream.flush(lambda: stream.building.away > 1)
    stream.close()
    ((job, _),) = load(open_objects(str(tmp_path))).pending  # the next start goes on with it
    assert job == "j"


def test_a_window_that_ends_each_builder_is_a_dead_letter(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "FIRST_WAIT", 0.05)
    broker.send(*(batch(job, new_process(), 0, ["x"], crash="over") for job in ("bad", "good", "fine")))
    said: list[dict[str, Any]] = []
    settings = Settings(str(tmp_path), window_ns=10 * SECOND)
    stream = LocalStream(broker.bootstrap, [TOPIC], settings, report=lambda what, counters: said.append(counters))
    real = stream.builders.submit

    def submit(keys: list[WindowKey]) -> None:
        real(keys)
        if any(job == "bad" for job, _ in keys):
            next(one for one in stream.builders.each if one.building == keys).process.kill()

    monkeypatch.setattr(stream.builders, "submit", submit)
    slow(stream, 120, lambda: {"windows": 0, "dead_letters": 1} in said)
    stream.flush()
    stream.close()
    assert not stream.state.pending
    assert {job for job, _, _ in stored(tmp_path)} == {"good", "fine"}
    with connect(tmp_path) as tables:
        ((code, topic, reason),) = tables.execute("select code, topic, reason from dead_letters").fetchall()
    assert code == "cannot-build"
    assert topic.startswith("archive/bad/")
    assert "ended with code -9, 3 times over" in reason
    assert "tracewinnow rebuild --job bad" in reason

"""The local runner against the embedded broker: dead letters, late data, holes, haste, and bad use."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.feed import SCHEMA, TOPIC, Broker, Marked, batch, new_process, stored
from tracewinnow.pipelines import kafka_client, planned
from tracewinnow.pipelines.kafka_source import KafkaSource
from tracewinnow.pipelines.local_stream import LocalStream
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.plan import MOST_BYTES, State
from tracewinnow.pipelines.planned import STATE
from tracewinnow.pipelines.single import only_one
from tracewinnow.schemas.errors import BadUse, Transient
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.archive import Archive
from tracewinnow.stores.objects import open_objects
from tracewinnow.stores.parquet_tables import connect

SECOND = 1_000_000_000


def settings(folder: Path, seconds: int = 10) -> Settings:
    return Settings(str(folder), window_ns=seconds * SECOND)


def drain(stream: LocalStream, seconds: float = 1.0) -> None:
    """Turn until nothing has come for a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if stream.turn():
            until = time.monotonic() + seconds
        time.sleep(0.05)


def traces(folder: Path) -> list[PreprocessedTrace]:
    return [PreprocessedTrace.FromString(data) for data in stored(folder).values()]


def test_refused_records_stand_whole_in_the_dead_letters(broker: Broker, tmp_path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    broker.send_bytes(b"\xff\xffjunk", "k", now_ms)
    broker.send_bytes(b"", "k", now_ms)
    good = batch("fine", new_process(), 0, ["hello"], crash="over")
    future = batch("future", new_process(), 0, ["x"], created_ns=time.time_ns() + 86400 * SECOND)
    broker.send(good, future)
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    drain(stream)
    stream.close()
    with connect(tmp_path) as tables:
        found = tables.execute("select original, topic, code, reason, stage from dead_letters").fetchall()
    assert sorted(row[0] for row in found) == sorted([b"\xff\xffjunk", b"", future.SerializeToString()])
    assert all(topic == TOPIC and code and reason and stage == "Decode" for _, topic, code, reason, stage in found)
    assert [t.job_id for t in traces(tmp_path)] == ["fine"]


def test_late_data_is_in_the_result(broker: Broker, tmp_path: Path) -> None:
    process, old = new_process(), time.time_ns() - 100 * SECOND
    broker.send(
        batch("j", process, 0, ["one"], created_ns=old), batch("j", process, 2, ["three"], created_ns=old + 2000)
    )
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path, 60))
    drain(stream)
    (before,) = traces(tmp_path)
    assert (before.lines_before, len(before.processes)) == (2, 2)  # a hole in the sequence
    broker.send(batch("j", process, 1, ["two"], created_ns=old + 1000))
    drain(stream)
    stream.close()
    (after,) = traces(tmp_path)
    assert (after.lines_before, after.revision, len(after.processes)) == (3, 3, 1)
    with connect(tmp_path) as tables:
        assert tables.execute("select lines_before from traces").fetchall() == [(3,)]


def test_one_name_with_two_contents_keeps_both(broker: Broker, tmp_path: Path) -> None:
    process, now = new_process(), time.time_ns()
    broker.send(
        batch("j", process, 0, ["one"], created_ns=now), batch("j", process, 0, ["other"], created_ns=now, crash="x")
    )
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    drain(stream)
    stream.close()
    (trace,) = traces(tmp_path)
    assert trace.revision == 1
    with connect(tmp_path) as tables:
        ((code, original),) = tables.execute("select code, original from dead_letters").fetchall()
    assert code == "name-taken"
    assert original in broker.sent


def test_open_windows_wait_for_the_next_start(broker: Broker, tmp_path: Path) -> None:
    broker.send(batch("j", new_process(), 0, ["one"]))
    first = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path, 3600))
    drain(first, 0.2)
    first.close()
    assert traces(tmp_path) == []
    second = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path, 3600))
    assert len(second.state.pending) == 1
    second.flush()
    second.close()
    assert [t.lines_before for t in traces(tmp_path)] == [1]


def test_records_that_went_from_the_broker_are_said(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    process, now = new_process(), time.time_ns()
    broker.send(batch("j", process, 0, ["one"], created_ns=now))
    drain(stream, 0.2)
    # The embedded broker drops the head of a partition at 5 MiB: what was not read by then is gone.
    for sequence in range(1, 15):
        broker.send(batch("j", process, sequence, ["x" * 700_000], created_ns=now))
    broker.send(batch("j", process, 15, ["last"], created_ns=now, crash="end"))
    drain(stream)
    stream.close()
    assert stream.state.lost > 0
    assert "went from the broker unread" in caplog.text
    assert any(len(t.processes) > 1 for t in traces(tmp_path))


def test_a_plan_that_could_not_be_saved_is_made_again(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    real, refused = stream.store.put, []

    def put(name: str, data: bytes) -> None:
        if name == STATE and stream.state.ranges and not refused:
            refused.append(name)
            raise Transient("the disk is away for a moment")
        real(name, data)

    monkeypatch.setattr(stream.store, "put", put)
    broker.send(batch("j", new_process(), 0, ["one"], crash="over"))
    until = time.monotonic() + 20
    while not refused and time.monotonic() < until:
        with suppress(Transient):
            stream.turn()
    drain(stream)
    stream.close()
    assert refused
    assert [t.job_id for t in traces(tmp_path)] == ["j"]


def test_another_broker_after_a_kill_amid_a_run(broker: Broker, tmp_path: Path) -> None:
    state = State(cluster="other", window_ns=10 * SECOND, number=3, ranges=[(TOPIC, 0, 0, 5)])
    open_objects(str(tmp_path)).put(STATE, state.to_json())
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    assert not stream.state.ranges
    broker.send(batch("j", new_process(), 0, ["one"], crash="over"))
    drain(stream)
    stream.close()
    assert [t.job_id for t in traces(tmp_path)] == ["j"]


def test_a_build_that_fails_stops_nobody(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.send(batch("a", new_process(), 0, ["x"], crash="a"), batch("b", new_process(), 0, ["x"], crash="b"))
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    real = stream.builders.submit
    asked: list[list[Any]] = []

    def killed(keys: list[Any]) -> None:
        asked.append(keys)
        real(keys)
        if len(asked) == 1:
            next(builder for builder in stream.builders.each if builder.building).process.kill()

    monkeypatch.setattr(stream.builders, "submit", killed)
    drain(stream, 3.0)
    stream.close()
    assert len(asked) > 1
    assert sorted(t.job_id for t in traces(tmp_path)) == ["a", "b"]


def archived(folder: Path) -> list[int]:
    archive = Archive(open_objects(str(folder)))
    return sorted(found.sequence for window in archive.windows("j") for found in archive.read("j", window).batches)


def test_the_last_to_start_takes_the_warehouse_over(broker: Broker, tmp_path: Path) -> None:
    """As a pod whose forerunner is still ending: what the one read is not taken for read by the other."""
    process = new_process()
    broker.send(*(batch("j", process, n, ["x"]) for n in range(3)))
    old = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    old.state.ranges = old._plan()
    old.state.number += 1
    old._save()
    new = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    assert new.state.ranges == old.state.ranges
    for _ in range(2):
        with pytest.raises(BadUse, match=f"another process streams .*process {os.getpid()} on .* since 20"):
            old.turn()
    assert not old.state.offsets
    old.close()
    broker.send(*(batch("j", process, n, ["x"]) for n in range(3, 10)))
    drain(new)
    new.flush()
    new.close()
    assert archived(tmp_path) == list(range(10))
    assert not [info.name for info in new.store.list("state/fired/")]


def test_the_plan_of_another_process_is_not_taken_for_our_own(broker: Broker, tmp_path: Path) -> None:
    """Saved between our look at the owner and our run, by one that had looked before."""
    process = new_process()
    broker.send(*(batch("j", process, n, ["x"]) for n in range(3)))
    old = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    old.state.ranges = old._plan()
    old.state.number += 1
    new = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    broker.send(*(batch("j", process, n, ["x"]) for n in range(3, 10)))
    real = new._save

    def overtaken() -> None:
        real()
        new.store.put(STATE, old.state.to_json())

    new._save = overtaken  # type: ignore[method-assign]
    with pytest.raises(BadUse, match="another process streams"):
        new.turn()
    new._save = real  # type: ignore[method-assign]
    with pytest.raises(BadUse, match="another process streams"):
        new.turn()
    assert not new.state.offsets
    new.close()
    drain(old)
    old.flush()
    old.close()
    assert archived(tmp_path) == list(range(10))


def test_a_marker_at_the_end_of_a_partition_is_passed(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planned, "SILENCE", 2.0)
    monkeypatch.setattr(kafka_client, "TIMEOUT", 3.0)
    real = kafka_client.consumer
    monkeypatch.setattr(kafka_client, "consumer", lambda *args, **options: Marked(real(*args, **options)))
    process = new_process()
    broker.send(*(batch("j", process, n, ["x"]) for n in range(2)))
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    stream.limit = 2  # the marker is left for a plan of its own
    drain(stream)
    stream.flush()
    stream.close()
    assert archived(tmp_path) == [0, 1]
    assert list(stream.state.offsets.values()).count(3) == 1


def test_a_clock_that_was_never_set_holds_no_other_window(broker: Broker, tmp_path: Path) -> None:
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path, 2), disorder_ms=500)
    good, bad, begun = new_process(), new_process(), time.time_ns()
    sent = 0
    until = time.monotonic() + 60
    # Always something of 1970 that was not read yet, alone on its partition or not.
    while not traces(tmp_path):
        assert time.monotonic() < until, "waited in vain"
        for partition in range(4):
            broker.producer.produce(
                TOPIC, batch("1970", bad, sent, ["x"], created_ns=5 * SECOND).SerializeToString(), "1970",
                partition=partition, timestamp=5000, headers=SCHEMA,
            )  # fmt: skip
        broker.send(batch("good", good, sent, [f"line {sent}"]))
        sent += 1
        stream.turn()
        time.sleep(0.05)
    assert stream.state.watermark_ns > begun - SECOND
    stream.close()
    assert {trace.job_id for trace in traces(tmp_path)} == {"good"}


def test_what_is_refused_bounds_the_next_run(broker: Broker, tmp_path: Path) -> None:
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    for _ in range(300):
        broker.send_bytes(b"\0\0\0\0\7\0" + bytes(10_000), "k", time.time_ns() // 1_000_000)
    assert broker.producer.flush(10) == 0
    drain(stream)
    stream.close()
    assert stream.limit * 10_000 <= MOST_BYTES


def test_offsets_of_the_local_runner_are_not_those_of_another(broker: Broker, tmp_path: Path) -> None:
    """A job that is submitted with the same group into another warehouse has nothing of what was read here."""
    broker.send(*(batch(f"j{n}", new_process(), 0, ["x"]) for n in range(10)))
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path), group="ours")
    drain(stream, 0.3)
    stream.close()
    assert sum(stream.state.offsets.values()) == 10
    assert {part.start for part in KafkaSource(broker.bootstrap, [TOPIC], group="ours").split(1)} == {None}
    told = kafka_client.committed(broker.bootstrap, "ours-local", list(stream.state.offsets))
    assert sum(told.values()) == 10  # for dashboards


def test_bad_use(broker: Broker, tmp_path: Path) -> None:
    with pytest.raises(Transient, match="broker"):
        LocalStream("127.0.0.1:1", [TOPIC], settings(tmp_path))
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path))
    broker.send(batch("j", new_process(), 0, ["one"]))
    drain(stream, 0.2)
    stream.close()
    with pytest.raises(BadUse, match="windows of 10s"):
        LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path, 60))
    with (
        only_one(str(tmp_path), "stream"),
        pytest.raises(BadUse, match="already runs"),
        only_one(str(tmp_path), "stream"),
    ):
        pass
    with (
        only_one(f"file://{tmp_path}", "stream"),
        pytest.raises(BadUse, match="already runs"),
        only_one(str(tmp_path), "stream"),
    ):
        pass
    assert SCHEMA

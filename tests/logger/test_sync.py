"""Finishing what others left, beside those that live."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tracewinnow.logger import identity, outbox, session, spool, spool_writer, wire
from tracewinnow.logger.sync import sync
from tracewinnow.schemas import telemetry_pb2 as pb

NOW = 1_700_000_000_000_000_000


def leave(directory: Path, lines: int, dead: bool = True, job: str = "job") -> session.Session:
    """What a killed process leaves that had no shipper."""
    directory.mkdir(exist_ok=True)
    known = identity.new_session(job, "gpu", "", "", "", None, None, None, 60.0, {})
    known.process_start -= dead
    known.save(directory)
    lane = spool_writer.Writer(directory, known.identity.process_uuid, "job", 1)
    lane.append(spool.START, wire.start([], "", {}, {}), NOW)
    for number in range(lines):
        lane.append(spool.EVENT, wire.log(b"%d" % number, wire.API), NOW + number)
    return known


def test_the_leftovers_of_a_dead_process(spool: Any) -> None:
    leave(spool.path, 100)
    (outcome,) = sync(spool.path)
    assert (outcome.state, outcome.batches, outcome.left) == ("left", 2, 2)
    assert spool.lines() == [b"%d" % number for number in range(100)]
    (crash,) = spool.events("crash")
    assert crash.crash.message == "process ended without saying goodbye"
    assert crash.time_ns == NOW + 99  # when it was last seen, not when somebody looked
    assert not list(spool.path.glob("*.spool"))
    (again,) = sync(spool.path)
    assert again.batches == 2


def test_silence_without_a_lane_is_no_crash(spool: Any) -> None:
    """The disk had no room for one, so that the process could not say how it ended."""
    spool.path.mkdir()
    known = identity.new_session("job", "gpu", "", "", "", None, None, None, 60.0, {})
    known.process_start -= 1
    known.save(spool.path)
    for _ in range(2):
        (outcome,) = sync(spool.path)
        assert outcome.batches == 1
    (line,) = spool.lines()
    assert b"how it ended is not known" in line
    assert spool.events("crash") == []


def test_a_living_process_without_a_shipper_is_not_declared_dead(spool: Any) -> None:
    leave(spool.path, 5, dead=False)
    (outcome,) = sync(spool.path)
    assert outcome.batches == 1
    assert spool.events("crash") == []
    assert list(spool.path.glob("*.spool"))


def test_what_a_process_of_another_container_writes_to_stays_for_a_day(spool: Any) -> None:
    """Nobody can look whether it lives. It may only have been silent, and go on in what would be deleted."""
    known = leave(spool.path, 5)
    known.boot_id = "another container"
    known.save(spool.path)
    for silent, left in ((700, 1), (90_000, 0)):
        for path in spool.path.glob(f"{known.identity.process_uuid}*"):
            os.utime(path, (time.time() - silent,) * 2)
        assert [one.state for one in sync(spool.path)] == ["left"]
        assert len(list(spool.path.glob("*.spool"))) == left
    assert spool.lines() == [b"%d" % number for number in range(5)]


def test_a_living_shipper_is_left_alone(spool: Any) -> None:
    known = leave(spool.path, 5)
    held = session.lock(spool.path, known.identity.process_uuid)
    assert held is not None
    (outcome,) = sync(spool.path)
    assert outcome.state == "busy"
    assert outbox.files(spool.path, known.identity.process_uuid) == []
    os.close(held)


def test_only_one_job(spool: Any) -> None:
    leave(spool.path, 1, job="one")
    leave(spool.path, 1, job="two")
    assert [outcome.job for outcome in sync(spool.path, job="two")] == ["two"]


def test_damage_is_an_outcome_and_the_others_are_shipped(spool: Any, broker: Any) -> None:
    bad = leave(spool.path, 1, job="bad")
    (spool.path / f"{bad.identity.process_uuid}.json").write_text('{"identity": 5}')
    torn = leave(spool.path, 1, job="torn")
    (spool.path / f"{torn.identity.process_uuid}-000000.outbox").write_bytes(b"TWOUTBX1" + b"x" * 100)
    leave(spool.path, 1, job="good")
    outcomes = {outcome.job: outcome for outcome in sync(spool.path, bootstrap=broker.address)}
    assert outcomes["good"].state == "done"
    assert outcomes["torn"].state == "failed"
    assert "damaged" in outcomes["torn"].message
    assert [outcome.state for job, outcome in outcomes.items() if job not in ("good", "torn")] == ["failed"]
    assert len(broker.messages("telemetry.gpu.v1", 2)) == 2


def test_resending_gives_the_same_bytes(spool: Any, broker: Any) -> None:
    leave(spool.path, 1)
    (first,) = sync(spool.path, bootstrap=broker.address)
    (again,) = sync(spool.path, bootstrap=broker.address, job="job", resend=range(1))
    assert (first.sent, again.sent) == (2, 1)
    messages = [message.value() for message in broker.messages("telemetry.gpu.v1", 3)]
    assert [pb.TelemetryBatch.FromString(data).sequence for data in messages] == [0, 1, 0]
    assert messages[0] == messages[2]


def test_what_was_sent_goes_when_its_time_is_over(spool: Any, broker: Any) -> None:
    sent, kept, waiting = (leave(spool.path, 1, job=name) for name in ("sent", "kept", "waiting"))
    for name in ("sent", "kept"):
        list(sync(spool.path, bootstrap=broker.address, job=name))
    list(sync(spool.path, job="waiting"))
    for known in (sent, waiting):
        for path in spool.path.glob(f"{known.identity.process_uuid}*"):
            os.utime(path, (0, 0))
    deleted = {path.name[:32] for path in session.expire(spool.path)}
    assert deleted == {sent.identity.process_uuid}
    assert session.sessions(spool.path) == sorted([kept.identity.process_uuid, waiting.identity.process_uuid])

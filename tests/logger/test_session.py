"""Locks of lanes: who writes to the lane of a tee."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tracewinnow.logger import identity, session

UUID = "c" * 32


def test_a_lane_is_held_as_long_as_its_descriptor(tmp_path: Path) -> None:
    assert not session.lane_held(tmp_path, UUID, "tee")
    held = session.lock_lane(tmp_path, UUID, "tee")
    assert held is not None
    assert not os.get_inheritable(held)  # a command that is started must not hold it
    assert session.lane_held(tmp_path, UUID, "tee")
    assert session.lock_lane(tmp_path, UUID, "tee") is None
    assert not session.lane_held(tmp_path, UUID, "tee1")
    assert not session.lane_held(tmp_path, "d" * 32, "tee")
    guard = session.lock(tmp_path, UUID)  # which is another
    assert guard is not None
    os.close(guard)
    os.close(held)
    assert not session.lane_held(tmp_path, UUID, "tee")
    assert session.locked_lanes(tmp_path, UUID) == ["tee"]
    session.forget_lane(tmp_path, UUID, "tee")
    session.forget_lane(tmp_path, UUID, "tee")
    assert session.locked_lanes(tmp_path, UUID) == []
    assert not session.lane_held(tmp_path, UUID, "tee")  # to look makes no file
    assert session.locked_lanes(tmp_path, UUID) == []


@pytest.mark.parametrize("lane", ["job", "fork1x1", "../tee", "tee" + "1" * 10, "tee\n", "", "teex"])
def test_other_names_are_no_lanes_of_tees(tmp_path: Path, lane: str) -> None:
    assert session.lock_lane(tmp_path, UUID, lane) is None
    assert not session.lane_held(tmp_path, UUID, lane)
    session.forget_lane(tmp_path, UUID, lane)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / f"{UUID}.strange.lock").touch()
    assert session.locked_lanes(tmp_path, UUID) == []


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, _: int) -> None:
        opened.append(fd)
        raise OSError(37, "No locks available")

    opened: list[int] = []
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert session.lock_lane(tmp_path, UUID, "tee") is None
    assert not session.lane_held(tmp_path, UUID, "tee")
    with pytest.raises(OSError, match="No locks"):
        session.lock(tmp_path, UUID)
    assert len(opened) == 3
    for fd in opened:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
    assert session.lock_lane(tmp_path / "absent", UUID, "tee") is None


def test_what_has_stayed_for_its_time_goes_with_its_locks(tmp_path: Path) -> None:
    """But not under a tee that has written nothing yet: what it will write would be nobody's."""
    known = identity.new_session("job", "gpu", "", "", "", None, None, None, 60.0, {})
    known.process_start -= 1  # it has ended
    known.retain = 0.0
    known.save(tmp_path)
    uuid = known.identity.process_uuid
    locks = [session.lock_lane(tmp_path, uuid, lane) for lane in ("tee", "tee1")]
    for fd in locks:
        assert list(session.expire(tmp_path)) == []
        assert fd is not None
        os.close(fd)
    deleted = {path.name for path in session.expire(tmp_path)}
    assert deleted == {f"{uuid}.{end}" for end in ("acked", "json", "lock", "tee.lock", "tee1.lock")}
    assert list(tmp_path.iterdir()) == []

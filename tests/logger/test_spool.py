"""One lane: written by one process, read by another, damaged on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracewinnow.logger import spool, spool_writer

UUID = "0" * 32


@pytest.mark.parametrize(
    ("lane", "pid"), [("job", 0), ("tee1", 0), ("fork12x3f", 12), ("fork", 0), ("forkxyz", 0), ("fork7", 7)]
)
def test_whose_lane_it_is(lane: str, pid: int) -> None:
    assert spool.fork_pid(lane) == pid


def test_a_record_that_is_given_back_is_the_next(tmp_path: Path) -> None:
    writer, reader = spool_writer.Writer(tmp_path, UUID, "job", 1), spool.Reader(tmp_path, UUID, "job")
    payloads = [b"%d" % number * 300_000 for number in range(8)]  # in several segments
    for payload in payloads:
        writer.append(spool.EVENT, payload, 1)
    found = []
    for number in range(16):
        record = next(reader.read())
        if number % 2:
            found.append(record.payload)
        else:
            reader.unread(record)
    assert found == payloads


def read_all(reader: spool.Reader) -> list[bytes]:
    found = []
    while records := list(reader.read()):
        found += [record.payload for record in records]
    return found


@given(payloads=st.lists(st.binary(max_size=3000), max_size=40), limit=st.integers(1, 5000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_what_is_appended_is_read(tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes], limit: int) -> None:
    directory = tmp_path_factory.mktemp("spool")
    writer = spool_writer.Writer(directory, UUID, "job")
    for number, payload in enumerate(payloads):
        assert writer.append(spool.EVENT, payload, number)
    reader = spool.Reader(directory, UUID, "job")
    found = []
    while records := list(reader.read(limit)):
        found += records
    assert [record.payload for record in found] == payloads
    assert [record.time_ns for record in found] == list(range(len(payloads)))
    # From any position on, the rest is there.
    for number, record in enumerate(found):
        again = spool.Reader(directory, UUID, "job", record.after)
        assert read_all(again) == payloads[number + 1 :]


def test_a_reader_passes_over_a_segment_that_somebody_deleted(tmp_path: Path) -> None:
    writer = spool_writer.Writer(tmp_path, UUID, "job", segment_bytes=1)
    payload = b"x" * 800_000
    for _ in range(6):
        assert writer.append(spool.EVENT, payload, 1)
    spool.segment_path(tmp_path, UUID, "job", 0).unlink()
    reader = spool.Reader(tmp_path, UUID, "job")
    assert read_all(reader) == [payload] * 4
    assert reader.corrupt == 1  # told


def test_what_a_killed_writer_left_unfinished_goes_with_the_rest(tmp_path: Path) -> None:
    writer = spool_writer.Writer(tmp_path, UUID, "job")
    assert writer.append(spool.EVENT, b"one", 1)
    left = spool.segment_path(tmp_path, UUID, "job", 1).with_suffix(spool.UNFINISHED)
    left.write_bytes(b"")
    spool.delete_before(tmp_path, UUID, "job", spool.Position(1, 0))
    assert list(tmp_path.iterdir()) == [left]
    spool.delete_before(tmp_path, UUID, "job", spool.END_OF_LANE)
    assert not list(tmp_path.iterdir())


def test_segments_follow_each_other_and_go_when_they_are_read(tmp_path: Path) -> None:
    writer = spool_writer.Writer(tmp_path, UUID, "job", segment_bytes=1)
    payload = b"x" * 500_000
    for _ in range(9):
        assert writer.append(spool.EVENT, payload, 1)
    assert len(list(tmp_path.glob("*.spool"))) > 2
    reader = spool.Reader(tmp_path, UUID, "job")
    assert len(read_all(reader)) == 9
    spool.delete_before(tmp_path, UUID, "job", reader.position)
    assert len(list(tmp_path.glob("*.spool"))) == 1
    assert writer.append(spool.EVENT, b"more", 1)
    assert read_all(reader) == [b"more"]


def test_the_reader_follows_a_living_writer(tmp_path: Path) -> None:
    writer, reader = spool_writer.Writer(tmp_path, UUID, "job"), spool.Reader(tmp_path, UUID, "job")
    assert read_all(reader) == []
    for number in range(3):
        writer.append(spool.EVENT, b"%d" % number, 1)
        assert read_all(reader) == [b"%d" % number]


def test_a_torn_record_is_not_read(tmp_path: Path) -> None:
    writer = spool_writer.Writer(tmp_path, UUID, "job")
    writer.append(spool.EVENT, b"whole", 1)
    writer.append(spool.EVENT, b"torn" * 100, 1)
    path = next(tmp_path.glob("*.spool"))
    data = bytearray(path.read_bytes())
    data[data.index(b"torn") + 300] ^= 1
    path.write_bytes(data)
    reader = spool.Reader(tmp_path, UUID, "job")
    assert read_all(reader) == [b"whole"]
    assert reader.corrupt == 0  # it may be the last append of a killed writer


def test_damage_inside_is_counted_and_the_next_segment_is_read(tmp_path: Path) -> None:
    writer = spool_writer.Writer(tmp_path, UUID, "job", segment_bytes=1)
    for number in range(6):
        writer.append(spool.EVENT, b"%d" % number + b"x" * 500_000, 1)
    path = sorted(tmp_path.glob("*.spool"))[0]
    data = bytearray(path.read_bytes())
    data[600_000] ^= 1
    path.write_bytes(data)
    reader = spool.Reader(tmp_path, UUID, "job")
    found = read_all(reader)
    assert reader.corrupt == 1
    assert found[0][:1] == b"0"
    assert found[-1][:1] == b"5"


@pytest.mark.parametrize("written", [b"tracewinnow: a warning", b"X"])
def test_a_beginning_that_somebody_wrote_over_is_damage(tmp_path: Path, written: bytes) -> None:
    """And not a segment that is not begun, for which one waits."""
    writer = spool_writer.Writer(tmp_path, UUID, "job", segment_bytes=1)
    for number in range(6):
        writer.append(spool.EVENT, b"%d" % number + b"x" * 500_000, 1)
    path = sorted(tmp_path.glob("*.spool"))[0]
    with open(path, "r+b") as file:
        file.write(written)
    reader = spool.Reader(tmp_path, UUID, "job")
    found = read_all(reader)
    assert reader.corrupt == 1 + (len(written) > 8)
    assert found[-1][:1] == b"5"
    assert (found[0][:1] == b"0") == (len(written) <= 8)


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_file_is_survived(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    directory = tmp_path_factory.mktemp("spool")
    spool.segment_path(directory, UUID, "job", 0).write_bytes(spool.MAGIC + data)
    for _ in spool.Reader(directory, UUID, "job").read():
        pass


def test_lanes_in_reading_order(tmp_path: Path) -> None:
    for lane in ("fork12x1", "job", "tee1", "tee", "tee10", "tee2"):
        spool_writer.Writer(tmp_path, UUID, lane, 1).append(spool.EVENT, b"x", 1)
    assert spool.lanes(tmp_path, UUID) == ["tee", "tee1", "tee2", "tee10", "job", "fork12x1"]

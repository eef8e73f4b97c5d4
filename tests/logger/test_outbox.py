"""The outbox file: golden bytes, truncation at every byte, damage at every byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracewinnow.logger import outbox
from tracewinnow.schemas.errors import BadInput

UUID = "a" * 32
# Written by the first version; it is read for ever.
GOLDEN = bytes.fromhex(
    "54574f555442583154575242020000000300000000000000000000000a0000000000000056045e697b7d61626352c6101b"
)


def written(directory: Path, batches: list[bytes], state: bytes = b"{}") -> Path:
    box = outbox.Outbox(directory, UUID)
    for sequence, batch in enumerate(batches):
        box.append(sequence, 10 + sequence, state, batch)
    box.close()
    return directory / f"{UUID}-000000.outbox"


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=10))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, batches: list[bytes]) -> None:
    path = written(tmp_path_factory.mktemp("outbox"), batches)
    assert outbox.is_outbox(path)
    assert list(outbox.read(path)) == batches


def test_every_truncation_reads_the_whole_records(tmp_path: Path) -> None:
    batches = [b"first", b"second", b"third"]
    path = written(tmp_path, batches)
    data = path.read_bytes()
    cut = tmp_path / "cut"
    for size in range(len(data)):
        cut.write_bytes(data[:size])
        found = list(outbox.read(cut))
        assert found == batches[: len(found)]
    assert len(found) == 2


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    batches = [b"first", b"second"]
    data = written(tmp_path, batches).read_bytes()
    bad = tmp_path / "bad"
    for at in range(len(data)):
        bad.write_bytes(data[:at] + bytes((data[at] ^ 0x10,)) + data[at + 1 :])
        with pytest.raises(BadInput) as caught:
            list(outbox.read(bad))
        assert caught.value.code in ("not-an-outbox", "corrupt-outbox")


@pytest.mark.parametrize("zeros", [0, 1, 5000, 3 << 20])
def test_what_a_power_loss_leaves_ends_the_file(tmp_path: Path, zeros: int) -> None:
    """The file is as long as it was, and zeros stand for what the disk had not got."""
    data = written(tmp_path, [b"first", b"second" * 300, b"third" * 200]).read_bytes()
    second, third = (data.index(outbox.RECORD_MAGIC, data.index(word)) for word in (b"first", b"secondsecond"))
    torn = tmp_path / "torn"
    for size in (second, third, *range(outbox.SECTOR, len(data), outbox.SECTOR)):
        torn.write_bytes(data[:size].ljust(len(data) + zeros, b"\0"))
        assert list(outbox.read(torn)) == [b"first", b"second" * 300][: (size >= second) + (size >= third)], size


def test_a_hole_in_the_last_record_is_a_power_loss_and_behind_it_damage(tmp_path: Path) -> None:
    path = written(tmp_path, [b"first", b"x" * 20_000])
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(4096) + data[8192:])
    assert list(outbox.read(path)) == [b"first"]
    box = outbox.Outbox(tmp_path, UUID)
    box.append(1, 11, b"{}", b"again")
    assert list(outbox.read(path)) == [b"first", b"again"]
    (tmp_path / "more").mkdir()
    path = written(tmp_path / "more", [b"first", b"x" * 20_000, b"third"])
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(4096) + data[8192:])
    with pytest.raises(BadInput, match="corrupt-outbox"):
        list(outbox.read(path))


def test_a_file_of_zeros_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / f"{UUID}-000000.outbox"
    path.write_bytes(bytes(5000))
    assert list(outbox.read(path)) == []
    box = outbox.Outbox(tmp_path, UUID)
    box.append(0, 1, b"{}", b"first")
    assert list(outbox.read(path)) == [b"first"]


def test_a_deleted_file_is_an_error_and_the_next_batch_goes_into_a_new_one(tmp_path: Path) -> None:
    box = outbox.Outbox(tmp_path, UUID)
    box.append(0, 1, b"", b"first")
    (path,) = outbox.files(tmp_path, UUID)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        box.append(1, 1, b"", b"second")
    box.append(1, 1, b"", b"second")
    assert list(outbox.read(path)) == [b"second"]


def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"step 1 loss 2.0\n")
    assert not outbox.is_outbox(path)
    with pytest.raises(BadInput, match="not-an-outbox"):
        list(outbox.read(path))


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert list(outbox.read(path)) == []


def test_a_size_from_outside_is_not_believed(tmp_path: Path) -> None:
    """A record that says it holds 4 GB is damage, and nothing of that size is allocated."""
    import struct
    from zlib import crc32

    head = outbox.HEAD.pack(outbox.RECORD_MAGIC, 0, 0xFFFFFFFF, 0, 0)
    path = tmp_path / "huge"
    path.write_bytes(outbox.MAGIC + head + struct.pack("<I", crc32(head)))
    with pytest.raises(BadInput, match="corrupt-outbox"):
        list(outbox.read(path))


def test_going_on_behind_a_torn_record(tmp_path: Path) -> None:
    path = written(tmp_path, [b"first", b"second"])
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 3)
    box = outbox.Outbox(tmp_path, UUID)
    assert box.last is not None
    assert (box.last.sequence, box.last.batch, box.last.state) == (0, b"first", b"{}")
    box.append(1, 11, b"{}", b"again")
    assert list(outbox.read(path)) == [b"first", b"again"]


def test_files_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SEGMENT_BYTES", 100)
    batches = [b"%d" % number * 60 for number in range(9)]
    written(tmp_path, batches)
    assert len(outbox.files(tmp_path, UUID)) > 3
    assert [batch for path in outbox.files(tmp_path, UUID) for batch in outbox.read(path)] == batches
    tail = outbox.Tail(tmp_path, UUID, 2)
    found = []
    while entries := tail.read(2):
        found += [entry.batch for entry in entries]
    assert found == batches[2:]
    last = outbox.last(tmp_path, UUID)
    assert last is not None
    assert last.sequence == 8


def test_the_tail_follows_a_living_writer(tmp_path: Path) -> None:
    tail = outbox.Tail(tmp_path, UUID, 0)
    assert tail.read(5) == []
    box = outbox.Outbox(tmp_path, UUID)
    for number in range(3):
        box.append(number, 1, b"", b"%d" % number)
        assert [entry.sequence for entry in tail.read(5)] == [number]


def test_the_tail_goes_on_when_its_file_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SEGMENT_BYTES", 100)
    box, tail = outbox.Outbox(tmp_path, UUID), outbox.Tail(tmp_path, UUID, 0)
    box.append(0, 1, b"", b"x" * 200)
    assert [entry.sequence for entry in tail.read(1)] == [0]  # it stands at the end of the first file
    box.append(1, 1, b"", b"y" * 200)
    assert outbox.expire(tmp_path, UUID, acked=1, before=float("inf")) == 1
    assert [entry.sequence for entry in tail.read(5)] == [1]
    box.append(2, 1, b"", b"z" * 200)
    assert [entry.sequence for entry in tail.read(5)] == [2]


@pytest.mark.parametrize(("state", "batch"), [(0, outbox.LARGEST_BATCH), (outbox.LARGEST_STATE, 0)])
def test_what_no_reader_would_take_is_not_written(tmp_path: Path, state: int, batch: int) -> None:
    box = outbox.Outbox(tmp_path, UUID)
    box.append(0, 1, bytes(state), bytes(batch))
    with pytest.raises(BadInput, match="batch-too-large"):
        box.append(1, 1, bytes(state + bool(state)), bytes(batch + bool(batch)))
    box.append(1, 1, b"", b"small")
    assert [len(data) for path in outbox.files(tmp_path, UUID) for data in outbox.read(path)] == [batch, 5]


def test_a_full_disk_leaves_the_file_whole(tmp_path: Path) -> None:
    code = f"""
import resource
from pathlib import Path
from tracewinnow.logger import outbox
box = outbox.Outbox(Path({str(tmp_path)!r}), {UUID!r})
box.append(0, 1, b"", b"first")
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 1 << 20))
try:
    box.append(1, 1, b"", b"x" * 1000)
except OSError as wrong:
    print(wrong.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
box.append(1, 1, b"", b"second")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"large" in done.stdout
    assert list(outbox.read(tmp_path / f"{UUID}-000000.outbox")) == [b"first", b"second"]


def test_the_acknowledged_position(tmp_path: Path) -> None:
    assert outbox.load_acked(tmp_path, UUID) == 0
    outbox.save_acked(tmp_path, UUID, 17)
    assert outbox.load_acked(tmp_path, UUID) == 17
    (tmp_path / f"{UUID}.acked").write_text("[]")
    assert outbox.load_acked(tmp_path, UUID) == 0


def test_the_format_stays(tmp_path: Path) -> None:
    path = written(tmp_path, [b"abc"])
    assert path.read_bytes() == GOLDEN


def test_old_files_that_were_acknowledged_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SEGMENT_BYTES", 150)
    written(tmp_path, [b"%d" % number * 60 for number in range(9)])
    paths = outbox.files(tmp_path, UUID)
    with open(paths[2], "rb") as file:
        third = next(outbox.entries(file)).sequence
    assert outbox.expire(tmp_path, UUID, acked=third, before=0.0) == 0  # all are younger
    assert outbox.expire(tmp_path, UUID, acked=third, before=float("inf")) == 2
    assert outbox.files(tmp_path, UUID) == paths[2:]
    assert outbox.expire(tmp_path, UUID, acked=100, before=float("inf")) == len(paths) - 3
    assert outbox.files(tmp_path, UUID) == paths[-1:]

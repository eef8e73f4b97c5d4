"""A lane is written: by threads and signal handlers, on full disks, and through interrupts."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logger.test_spool import UUID, read_all
from tracewinnow.logger import _slot, spool, spool_writer


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300), st.integers(-(2**63), 2**63 - 1)), max_size=20))
@settings(max_examples=300)
def test_slot_and_reference_write_the_same(records: list[tuple[int, bytes, int]]) -> None:
    memories = bytearray(2000), bytearray(2000)
    compiled, reference = _slot.Slot(memories[0], 7, 1900), spool_writer.ReferenceSlot(memories[1], 7, 1900)
    for record in records:
        assert compiled.put(*record) == reference.put(*record)
    assert compiled.at == reference.at
    assert memories[0] == memories[1]
    compiled.close()
    reference.close()
    assert not compiled.put(1, b"", 0)
    assert not reference.put(1, b"", 0)
    assert compiled.put_last(9, b"end", -1) == reference.put_last(9, b"end", -1)
    assert memories[0] == memories[1]
    compiled.open(2000)
    reference.open(2000)
    assert compiled.put(1, b"x" * 30, 0) == reference.put(1, b"x" * 30, 0)
    assert memories[0] == memories[1]


def test_a_slot_stays_within_its_memory() -> None:
    for places in ((-1, 5), (6, 5), (0, 11)):
        with pytest.raises(ValueError, match="no place"):
            _slot.Slot(bytearray(10), *places)
    slot = _slot.Slot(bytearray(40), 0, 40)
    with pytest.raises(ValueError, match="no place"):
        slot.open(41)
    assert not slot.put(1, b"x" * 24, 0)
    assert slot.put(1, b"x" * 23, 0)
    assert slot.at == 40


def full(*_: object) -> None:
    """In the place of what takes blocks: the disk has none."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def filled(folder: Path) -> tuple[spool_writer.Writer, bytes]:
    """A writer with b"one" and a large record in a segment that has no room for another, and that record."""
    writer = spool_writer.Writer(folder, UUID, "job", segment_bytes=1)
    assert writer.append(spool.EVENT, b"one", 1)
    big = b"x" * (spool.LARGEST - 100)
    assert writer.append(spool.EVENT, big, 1)
    return writer, big


@pytest.mark.parametrize("left", [b"", spool.MAGIC + bytes(1000)])
def test_a_segment_that_was_only_begun_is_passed_over(tmp_path: Path, left: bytes) -> None:
    """As an interrupt leaves it that comes between the making of the file and what follows."""
    writer = spool_writer.Writer(tmp_path, UUID, "job")
    assert writer.append(spool.EVENT, b"one", 1)
    begun = spool.segment_path(tmp_path, UUID, "job", 1)
    begun.write_bytes(left)
    writer._slot.close()
    assert writer.append(spool.EVENT, b"two", 1)
    assert spool.segment_path(tmp_path, UUID, "job", 2).exists()
    assert read_all(spool.Reader(tmp_path, UUID, "job")) == [b"one", b"two"]


@pytest.mark.parametrize("new", [_slot.Slot, spool_writer.ReferenceSlot])
def test_after_an_interrupt_the_next_segment_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: type[spool_writer.ReferenceSlot]
) -> None:
    """The former one stays closed, whether or not a successor was left: a reader may have seen one."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(spool_writer, "Slot", new)
    writer, big = filled(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.append(spool.EVENT, big, 1)
    first = spool.segment_path(tmp_path, UUID, "job", 0)
    before = first.read_bytes()
    assert writer.append(spool.EVENT, b"two", 1)
    assert first.read_bytes() == before
    assert read_all(spool.Reader(tmp_path, UUID, "job")) == [b"one", big, b"two"]


def test_a_successor_is_seen_when_there_is_room_for_it_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that sees one takes the segment before it for finished, where the crash may still be written."""
    reader = spool.Reader(tmp_path, UUID, "job")
    seen: list[list[bytes]] = []

    def seen_and_full(*_: object) -> None:
        seen.append(read_all(reader))
        full()

    writer, big = filled(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", seen_and_full)
        assert not writer.append(spool.EVENT, big, 1)
        assert writer.append(spool.CRASH, b"out of space", 1)
    assert seen == [[b"one", big]]
    assert read_all(reader) == [b"out of space"]
    assert [path.name for path in tmp_path.iterdir()] == [spool.segment_path(tmp_path, UUID, "job", 0).name]


def test_what_is_kept_for_the_end_is_not_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk, whatever other threads write between the steps of one that tells how the job ended."""

    class Crowded(_slot.Slot):
        def put_last(self, kind: int, payload: bytes, time_ns: int) -> bool:
            while self.put(spool.EVENT, b"line", 1):
                pass
            return super().put_last(kind, payload, time_ns)

        def open(self, usable: int) -> None:
            super().open(usable)
            while self.put(spool.EVENT, b"line", 1):
                pass

    monkeypatch.setattr(spool_writer, "Slot", Crowded)
    writer, big = filled(tmp_path)
    monkeypatch.setattr(os, "posix_fallocate", full)
    assert not writer.append(spool.EVENT, big, 1)
    last = [b"note" * 2000, b"stop" * 2000, b""]
    assert [writer.append(kind, text, 1) for kind, text in zip((spool.NOTE, spool.STOP, spool.END), last, strict=True)]
    assert read_all(spool.Reader(tmp_path, UUID, "job"))[-3:] == last


@pytest.mark.parametrize("new", [_slot.Slot, spool_writer.ReferenceSlot])
def test_behind_the_end_nothing_is_written_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: type[spool_writer.ReferenceSlot]
) -> None:
    """Whoever reads an END may delete the lane."""
    monkeypatch.setattr(spool_writer, "Slot", new)
    for number, first in enumerate(([b"one"], [])):  # also where the END makes the first segment
        writer = spool_writer.Writer(tmp_path, str(number) * 32, "job")
        for text in first:
            assert writer.append(spool.EVENT, text, 1)
        assert writer.append(spool.END, b"", 1)
        for kind in (spool.EVENT, spool.CRASH, spool.END):
            assert not writer.append(kind, b"late", 1)
        assert (writer.lost, writer.error) == (3, "the run is finished")
        assert read_all(spool.Reader(tmp_path, str(number) * 32, "job")) == [*first, b""]


@pytest.mark.parametrize("new", [_slot.Slot, spool_writer.ReferenceSlot])
def test_an_end_is_not_written_behind_the_back_of_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: type[spool_writer.ReferenceSlot]
) -> None:
    """An interrupt left a successor, which a reader has seen."""
    monkeypatch.setattr(spool_writer, "Slot", new)
    writer = spool_writer.Writer(tmp_path, UUID, "job")
    assert writer.append(spool.EVENT, b"one", 1)
    spool.segment_path(tmp_path, UUID, "job", 1).write_bytes(spool.MAGIC + bytes(1000))
    writer._slot.close()
    reader = spool.Reader(tmp_path, UUID, "job")
    assert read_all(reader) == [b"one"]
    assert writer.append(spool.END, b"", 1)
    assert read_all(reader) == [b""]


@pytest.mark.parametrize("new", [_slot.Slot, spool_writer.ReferenceSlot])
@pytest.mark.parametrize("wrong", [None, OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_what_a_signal_handler_logs_inside_a_rotation_is_written_or_counted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    new: type[spool_writer.ReferenceSlot],
    wrong: BaseException | None,
) -> None:
    monkeypatch.setattr(spool_writer, "Slot", new)
    writer, big = filled(tmp_path)
    take = os.posix_fallocate
    said: list[bool] = []

    def handler(*place: int) -> None:
        if said:
            return take(*place)
        said.extend(
            writer.append(spool.EVENT, b"handler %d" % number, 1) for number in range(spool_writer.DEFERRED + 500)
        )
        if wrong is not None:
            raise wrong
        return take(*place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", handler)
        if isinstance(wrong, KeyboardInterrupt):
            with pytest.raises(KeyboardInterrupt):
                writer.append(spool.EVENT, big, 1)
        else:
            assert writer.append(spool.EVENT, big, 1) == (wrong is None)
    writer._retry_at = 0.0
    assert said == [True] * spool_writer.DEFERRED + [False] * 500
    assert writer.append(spool.END, b"", 1)
    found = read_all(spool.Reader(tmp_path, UUID, "job"))
    assert [text for text in found if text.startswith(b"handler")] == [
        b"handler %d" % n for n in range(spool_writer.DEFERRED)
    ]
    assert writer.lost == 500 + isinstance(wrong, OSError)


@pytest.mark.parametrize("step", ["close", "return"])
def test_a_new_segment_has_its_name_when_nothing_can_go_wrong_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """What failed behind the name let the former segment be written to, which a reader had left for its successor."""
    writer, big = filled(tmp_path)
    reader = spool.Reader(tmp_path, UUID, "job")
    close = os.close

    def quota(fd: int) -> None:
        close(fd)
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    def interrupt(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_name == "_rotate" and event == "return":
            sys.settrace(None)
            raise KeyboardInterrupt
        return interrupt

    with monkeypatch.context() as patch:
        if step == "close":
            patch.setattr(os, "close", quota)
            assert not writer.append(spool.EVENT, big, 1)
        else:
            before = sys.gettrace()
            sys.settrace(interrupt)
            try:
                with pytest.raises(KeyboardInterrupt):
                    writer.append(spool.EVENT, big, 1)
            finally:
                sys.settrace(before)
    assert read_all(reader) == [b"one", big]
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        told = [writer.append(kind, text, 1) for kind, text in ((spool.EVENT, b"line"), (spool.CRASH, b"crash"))]
    found = read_all(reader)
    assert found == [text for text, well in zip((b"line", b"crash"), told, strict=True) if well]  # else it is counted
    assert writer.lost == 2 - len(found) + (step == "close")


@pytest.mark.parametrize("new", [_slot.Slot, spool_writer.ReferenceSlot])
@pytest.mark.parametrize("segments", [0, 1])
def test_a_segment_with_a_successor_is_not_written_to_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: type[spool_writer.ReferenceSlot], segments: int
) -> None:
    monkeypatch.setattr(spool_writer, "Slot", new)
    writer = spool_writer.Writer(tmp_path, UUID, "job")
    for _ in range(segments):
        assert writer.append(spool.EVENT, b"one", 1)
    spool.segment_path(tmp_path, UUID, "job", segments).write_bytes(b"")  # left by an interrupt
    writer._slot.close()
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        assert not writer.append(spool.EVENT, b"lost", 1)
        assert not writer.append(spool.CRASH, b"lost", 1)
    assert (writer.lost, os.strerror(errno.ENOSPC) in writer.error) == (2, True)
    writer._retry_at = 0.0
    assert writer.append(spool.EVENT, b"two", 1)
    assert read_all(spool.Reader(tmp_path, UUID, "job")) == [b"one"] * segments + [b"two"]


@pytest.mark.parametrize("new", [_slot.Slot, spool_writer.ReferenceSlot])
def test_threads_and_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: type[spool_writer.ReferenceSlot]
) -> None:
    """What threads append while segments follow each other is read whole by somebody who reads meanwhile."""
    monkeypatch.setattr(spool_writer, "Slot", new)
    writer = spool_writer.Writer(tmp_path, UUID, "job", segment_bytes=1)
    reader = spool.Reader(tmp_path, UUID, "job")

    def work(name: int) -> None:
        for number in range(1500):
            assert writer.append(spool.EVENT, b"%d %d " % (name, number) + b"x" * 2000, 1), writer.error

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    found = []
    while any(thread.is_alive() for thread in threads):
        found += read_all(reader)
    found += read_all(reader)
    assert reader.corrupt == 0
    assert reader.position.number > 2
    for name in range(4):
        mine = [int(payload.split()[1]) for payload in found if payload.startswith(b"%d " % name)]
        assert mine == list(range(1500))


def test_a_new_segment_that_others_fill_at_once_holds_who_made_it(tmp_path: Path) -> None:
    """Other threads write without a lock: they may have filled it before the thread that made it goes on."""

    class Crowded(spool_writer.Writer):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            while name == "_slot" and value.put(spool.EVENT, b"x" * 100_000, 1):
                pass

    writer = Crowded(tmp_path, UUID, "job", segment_bytes=1)
    assert all(writer.append(spool.EVENT, b"%d" % number + b"y" * 500_000, 1) for number in range(5))
    assert writer.lost == 0
    found = read_all(spool.Reader(tmp_path, UUID, "job"))
    assert [payload[:1] for payload in found if payload[-1:] == b"y"] == [b"%d" % number for number in range(5)]


def test_threads_do_not_mix(tmp_path: Path) -> None:
    writer = spool_writer.Writer(tmp_path, UUID, "job")

    def work(name: bytes) -> None:
        for number in range(2000):
            writer.append(spool.EVENT, b"%b %d" % (name, number), 1)

    threads = [threading.Thread(target=work, args=(b"%d" % name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_all(spool.Reader(tmp_path, UUID, "job"))
    for name in range(4):
        assert [line for line in found if line.startswith(b"%d " % name)] == [b"%d %d" % (name, n) for n in range(2000)]


def test_a_signal_handler_may_log_while_the_thread_logs(tmp_path: Path) -> None:
    writer = spool_writer.Writer(tmp_path, UUID, "job")
    fired = 0

    def handler(*_: object) -> None:
        nonlocal fired
        fired += 1
        writer.append(spool.EVENT, b"handler", 1)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(50_000):
            writer.append(spool.EVENT, b"thread", 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    found = read_all(spool.Reader(tmp_path, UUID, "job"))
    assert fired > 0
    assert (found.count(b"thread"), found.count(b"handler")) == (50_000, fired)


def test_too_large_is_lost_and_counted(tmp_path: Path) -> None:
    writer = spool_writer.Writer(tmp_path, UUID, "job")
    assert not writer.append(spool.EVENT, b"x" * (spool.LARGEST + 1), 1)
    assert writer.lost == 1
    assert writer.append(spool.EVENT, b"x", 1)


def test_a_directory_that_is_gone_loses_and_counts(tmp_path: Path) -> None:
    writer = spool_writer.Writer(tmp_path / "absent", UUID, "job")
    assert not writer.append(spool.EVENT, b"x", 1)
    assert (writer.lost, os.strerror(errno.ENOENT) in writer.error) == (1, True)


def test_full_disk_is_counted_and_the_end_still_fits(tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow beyond one segment."""
    code = f"""
import resource, sys
from pathlib import Path
from typing import Any
from tracewinnow.logger import _slot, spool, spool_writer
segment = 2 * spool.LARGEST
writer = spool_writer.Writer(Path({str(tmp_path)!r}), {UUID!r}, "job", segment)
assert writer.append(spool.START, b"start", 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (segment - 1, segment - 1))   # like a disk that is full from now on
written = sum(writer.append(spool.EVENT, b"x" * 10_000, 1) for _ in range(300))
assert 0 < written < 300 and writer.lost == 300 - written, (written, writer.lost)
assert "large" in writer.error, writer.error
assert writer.append(spool.CRASH, b"crash", 1) and writer.append(spool.END, b"", 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (segment - 1, segment - 1))
print(written)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    found = read_all(spool.Reader(tmp_path, UUID, "job"))
    assert len(found) == int(done.stdout) + 3
    assert found[-2:] == [b"crash", b""]


def nearly_full(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """No more than so many bytes can be taken at a time."""
    take = os.posix_fallocate

    def fallocate(fd: int, at: int, size: int) -> None:
        if size > room:
            full()
        take(fd, at, size)

    monkeypatch.setattr(os, "posix_fallocate", fallocate)


@pytest.mark.parametrize("new", [_slot.Slot, spool_writer.ReferenceSlot])
def test_a_disk_without_room_for_a_segment_has_some_for_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: type[spool_writer.ReferenceSlot]
) -> None:
    monkeypatch.setattr(spool_writer, "Slot", new)
    writer = spool_writer.Writer(tmp_path, UUID, "job")
    with monkeypatch.context() as patch:
        nearly_full(patch, spool_writer.SHORT_BYTES)
        assert writer.append(spool.START, b"start", 1)
        assert (writer.short, os.strerror(errno.ENOSPC) in writer.error) == (True, True)
        written = sum(writer.append(spool.EVENT, b"x" * 10_000, 1) for _ in range(100))
        assert 64 << 10 <= written * 10_000 < spool_writer.SHORT_BYTES - spool_writer.RESERVE
        assert writer.append(spool.CRASH, b"y" * 20_000, 1)
        assert len(list(tmp_path.iterdir())) == 1  # short ones do not follow each other
    writer._retry_at = 0.0
    assert writer.append(spool.EVENT, b"there is room again" * 20_000, 1)
    assert writer.append(spool.END, b"", 1)
    found = read_all(spool.Reader(tmp_path, UUID, "job"))
    assert len(found) == written + 4
    assert found[-3:] == [b"y" * 20_000, b"there is room again" * 20_000, b""]


def test_a_disk_without_any_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = spool_writer.Writer(tmp_path, UUID, "job")
    nearly_full(monkeypatch, spool_writer.SHORT_BYTES - 1)
    assert not writer.append(spool.START, b"start", 1)
    assert (writer.short, writer.lost) == (False, 1)
    assert not list(tmp_path.iterdir())

"""The tee by itself: what it knows of its own state."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tracewinnow.logger import spool, spool_writer, wire
from tracewinnow.logger.tee import Tee

UUID = "c" * 32
MANY = 1 << 20  # bytes, more than a pipe holds


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def fill(write: int) -> int:
    """Write until nobody takes more; how many bytes that were."""
    os.set_blocking(write, False)
    sent = full = 0
    while full < 50:
        try:
            sent += os.write(write, bytes(4096))
            full = 0
        except BlockingIOError:
            full += 1
            time.sleep(0.002)
    return sent


def test_waiting_for_a_reader_is_not_quiet(tmp_path: Path) -> None:
    (read, write), (slow, out) = os.pipe(), os.pipe()
    tee = Tee({read: (out, spool.STDOUT)}, spool_writer.Writer(tmp_path, UUID, "tee"))
    tee.start()
    until(lambda: tee.quiet(0.0) > 0)  # it waits for bytes
    os.set_blocking(slow, False)
    sent = fill(write)
    assert tee.quiet(0.0) == 0.0
    got = 0

    def drained() -> bool:
        nonlocal got
        with contextlib.suppress(BlockingIOError):
            got += len(os.read(slow, MANY))
        return got == sent

    until(drained)
    until(lambda: tee.quiet(0.0) > 0)
    assert tee.quiet(time.monotonic() + 60) <= 0  # counted from no earlier than asked
    os.close(write)
    tee.join(20)
    assert not tee.is_alive()
    assert tee.losses() == ""
    os.close(slow)
    os.close(out)


class Lane(spool_writer.Writer):
    """A disk that is full at times: of so many records, the ones that find room."""

    def __init__(self, room: list[bool]) -> None:
        super().__init__(Path(), UUID, "tee")
        self.room, self.records = iter(room), list[tuple[int, bytes]]()

    def append(self, kind: int, payload: bytes, time_ns: int) -> bool:
        if found := next(self.room):
            self.records.append((kind, payload))
        return found


def test_a_loss_ends_the_line_before_it() -> None:
    """With what comes behind the loss it would be a line that nobody has printed."""
    (read, write), (errors, other), (end, out) = os.pipe(), os.pipe(), os.pipe()
    lane = Lane([True, False, False, True, True, False, True])
    tee = Tee({read: (out, spool.STDOUT), errors: (out, spool.STDERR)}, lane)
    tee.start()
    passed = 0
    for fd, chunk in (
        (write, b"a whole line\nof a jo"),
        (write, b"b\nlost\n"),  # this
        (write, b"and th"),  # and this
        (other, b"not cut o"),
        (write, b"is\nlast"),
        (write, b" words"),  # and this
    ):
        os.write(fd, chunk)
        passed += len(chunk)
        got = 0
        while got < len(chunk):
            got += len(os.read(end, 100))
    os.close(write)
    until(lambda: len(tee.pipes) == 1)
    os.close(other)
    tee.join(20)
    assert lane.records == [
        (spool.STDOUT, b"a whole line\nof a jo"),
        (spool.STDERR, b"not cut o"),
        (spool.STDOUT, wire.MISSING + b"\nis\nlast"),
        (spool.STDOUT, wire.MISSING + b"\n"),
    ]
    assert tee.lost == len(b"b\nlost\nand th words")
    os.close(end)
    os.close(out)


def test_what_finds_no_room_is_counted(tmp_path: Path) -> None:
    (read, write), (end, out) = os.pipe(), os.pipe()
    tee = Tee({read: (out, spool.STDOUT)}, spool_writer.Writer(tmp_path / "absent", UUID, "tee"))
    os.write(write, b"a line\n")
    os.close(write)
    tee.run()
    assert os.read(end, 100) == b"a line\n"
    assert tee.losses().startswith("7 bytes of output could not be recorded: [Errno 2]")
    os.close(end)
    os.close(out)


def recorded(directory: Path, kind: int) -> bytes:
    reader = spool.Reader(directory, UUID, "tee")
    found = b""
    while records := list(reader.read()):
        found += b"".join(record.payload for record in records if record.kind == kind)
    return found


@pytest.mark.parametrize("slow_first", [True, False])
def test_a_reader_that_has_stopped_does_not_hold_the_other_stream(tmp_path: Path, slow_first: bool) -> None:
    (read, write), (slow, out) = os.pipe(), os.pipe()
    errors, other = os.pipe()
    with (tmp_path / "errors").open("wb") as file:
        pipes = {read: (out, spool.STDOUT), errors: (file.fileno(), spool.STDERR)}
        tee = Tee(pipes if slow_first else dict(reversed(pipes.items())), spool_writer.Writer(tmp_path, UUID, "tee"))
        tee.start()
        sent = fill(write)
        blocked_at = tee.quiet_since
        os.write(other, b"an error\n")
        until(lambda: file.tell() == 9)
        until(lambda: tee.quiet_since > blocked_at)
        assert tee.quiet(0.0) == 0.0  # one of them waits for its reader
        os.close(other)
        until(lambda: len(tee.pipes) == 1)
        assert tee.is_alive()
        os.close(write)
        got = 0
        while got < sent:
            got += len(os.read(slow, MANY))
        tee.join(20)
        assert not tee.is_alive()
    assert recorded(tmp_path, spool.STDOUT) == bytes(sent)
    assert recorded(tmp_path, spool.STDERR) == b"an error\n"
    os.close(slow)
    os.close(out)


def test_lines_of_both_streams_do_not_mix_where_they_lead_to_the_same_place(tmp_path: Path) -> None:
    """A chunk larger than what its reader takes at once is not cut by one of the other stream."""
    (read, write), (errors, other), (slow, out) = os.pipe(), os.pipe(), os.pipe()
    again = os.dup(out)
    tee = Tee({read: (out, spool.STDOUT), errors: (again, spool.STDERR)}, spool_writer.Writer(tmp_path, UUID, "tee"))
    fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write, b"o" * 60_000)
    os.write(other, b"e" * 60_000)
    os.close(write)
    os.close(other)
    tee.start()
    got = b""
    while len(got) < 120_000:
        got += os.read(slow, 1000)
    assert got in (b"o" * 60_000 + b"e" * 60_000, b"e" * 60_000 + b"o" * 60_000)
    tee.join(20)
    for fd in (slow, out, again):
        os.close(fd)


def test_where_no_thread_can_be_started_one_serves_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    (read, write), (errors, other) = os.pipe(), os.pipe()
    os.write(write, b"out")
    os.write(other, b"err")
    os.close(write)
    os.close(other)
    paths = [tmp_path / "out", tmp_path / "err"]
    with paths[0].open("wb") as out, paths[1].open("wb") as err:
        pipes = {read: (out.fileno(), spool.STDOUT), errors: (err.fileno(), spool.STDERR)}
        monkeypatch.setattr(threading.Thread, "start", refuse)
        Tee(pipes, spool_writer.Writer(tmp_path, UUID, "tee")).run()
    assert [path.read_bytes() for path in paths] == [b"out", b"err"]
    assert (recorded(tmp_path, spool.STDOUT), recorded(tmp_path, spool.STDERR)) == (b"out", b"err")


def test_losses_of_both_streams_are_counted(tmp_path: Path) -> None:
    (read, write), (errors, other), (end, out), (end2, out2) = os.pipe(), os.pipe(), os.pipe(), os.pipe()
    tee = Tee(
        {read: (out, spool.STDOUT), errors: (out2, spool.STDERR)}, spool_writer.Writer(tmp_path / "absent", UUID, "tee")
    )
    os.write(write, b"out\n")
    os.write(other, b"error\n")
    os.close(write)
    os.close(other)
    tee.run()
    assert tee.lost == 10
    for fd in (end, out, end2, out2):
        os.close(fd)


def test_it_stops_between_two_chunks(tmp_path: Path) -> None:
    """What it has read is passed on; the rest stays in the pipe for the next."""
    (read, write), (slow, out) = os.pipe(), os.pipe()
    errors, other = os.pipe()
    tee = Tee({read: (out, spool.STDOUT), errors: (1, spool.STDERR)}, spool_writer.Writer(tmp_path, UUID, "tee"))
    tee.start()
    sent = fill(write)
    assert not tee.stop(0.05)  # it waits for the reader, and may do so for ever
    os.set_blocking(slow, False)
    got = b""

    def stopped() -> bool:
        nonlocal got
        with contextlib.suppress(BlockingIOError):
            got += os.read(slow, MANY)
        return tee.stop(0.002)

    until(stopped)
    tee.join(20)
    with contextlib.suppress(BlockingIOError):
        got += os.read(slow, MANY)
    os.set_blocking(read, False)
    rest = os.read(read, MANY)  # which is open still
    assert rest
    assert len(got) + len(rest) == sent
    assert recorded(tmp_path, spool.STDOUT) == got
    assert tee.stop(0)  # once more is nothing
    for fd in (read, write, slow, out, errors, other):
        os.close(fd)


def test_an_idle_one_stops_at_once(tmp_path: Path) -> None:
    pipes = [os.pipe() for _ in range(4)]
    (read, _), (errors, _), (_, out), (_, err) = pipes
    tee = Tee({read: (out, spool.STDOUT), errors: (err, spool.STDERR)}, spool_writer.Writer(tmp_path, UUID, "tee"))
    tee.start()
    until(lambda: tee.quiet(0.0) > 0)
    assert tee.stop(20)
    tee.join(20)
    assert not tee.is_alive()
    for pipe in pipes:
        for fd in pipe:
            os.close(fd)


def test_a_line_that_was_cut_ends_where_it_stops() -> None:
    (read, write), (end, out) = os.pipe(), os.pipe()
    lane = Lane([False, True])
    tee = Tee({read: (out, spool.STDOUT)}, lane)
    tee.start()
    os.write(write, b"half a li")
    assert os.read(end, 100) == b"half a li"
    assert tee.stop(20)
    assert lane.records == [(spool.STDOUT, wire.MISSING + b"\n")]
    for fd in (read, write, end, out):
        os.close(fd)

"""The tee by itself: what it knows of its own state."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from tracewinnow.logger import spool, wire
from tracewinnow.logger.tee import Tee

UUID = "c" * 32
MANY = 1 << 20  # bytes, more than a pipe holds


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_waiting_for_a_reader_is_not_quiet(tmp_path: Path) -> None:
    (read, write), (slow, out) = os.pipe(), os.pipe()
    tee = Tee({read: (out, spool.STDOUT)}, spool.Writer(tmp_path, UUID, "tee"))
    tee.start()
    until(lambda: tee.quiet(0.0) > 0)  # it waits for bytes
    for descriptor in (write, slow):
        os.set_blocking(descriptor, False)
    sent, full = 0, 0
    while full < 50:  # until nobody takes more
        try:
            sent += os.write(write, bytes(4096))
            full = 0
        except BlockingIOError:
            full += 1
            time.sleep(0.002)
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


class Lane(spool.Writer):
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
    tee = Tee({read: (out, spool.STDOUT)}, spool.Writer(tmp_path / "absent", UUID, "tee"))
    os.write(write, b"a line\n")
    os.close(write)
    tee.run()
    assert os.read(end, 100) == b"a line\n"
    assert tee.losses().startswith("7 bytes of output could not be recorded: [Errno 2]")
    os.close(end)
    os.close(out)

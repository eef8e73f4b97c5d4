"""What SeriesWriter flushed can be read, however the process ends."""

import contextlib
import io
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracewinnow.codec import BadArgument, SeriesWriter, Truncated, decode_series


def write_for_ever(path: Path, told: int) -> None:
    """What the child does until it is killed: says how many steps are flushed."""
    with SeriesWriter(path, names=["a", "b", "c"], chunk_steps=50) as writer:
        step = 0
        while True:
            writer.append(np.array([0, 0.25, 0.5]) + step, step=step)
            step += 1
            if step % 50 == 0:
                os.write(told, step.to_bytes(8, "little"))


def test_step_by_step_is_what_was_appended(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    path = tmp_path / "norms.tw"
    with SeriesWriter(path, names=["a", "b", "c"], chunk_steps=300) as writer:
        for step, row in enumerate(values):
            writer.append(row, step=10 * step)
    series = decode_series(path.read_bytes())
    assert np.array_equal(series.values, values)
    assert np.array_equal(series.steps, np.arange(0, 10_000, 10))
    assert np.array_equal(decode_series(path.read_bytes(), step_range=(5000, 5100)).values, values[500:510])


def test_an_unfinished_file_says_so_and_is_recovered() -> None:
    file = io.BytesIO()
    writer = SeriesWriter(file, names=["a"], chunk_steps=10)
    for step in range(25):
        writer.append([step])
    with pytest.raises(Truncated, match="recover"):
        decode_series(file.getvalue())
    whole = file.getvalue()
    assert decode_series(whole, recover=True).values[:, 0].tolist() == list(range(20))
    for size in range(40, len(whole)):
        got = decode_series(whole[:size], recover=True).values[:, 0].tolist()
        assert got == list(range(len(got)))
        assert len(got) in (0, 10)
    writer.close()
    assert len(decode_series(file.getvalue()).values) == 25


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_kill_in_the_middle_of_writing_fifty_times(tmp_path: Path) -> None:
    for run in range(50):
        path = tmp_path / f"{run}.tw"
        heard, told = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                write_for_ever(path, told)
            finally:
                os._exit(1)
        os.close(told)
        first = os.read(heard, 8)
        time.sleep(0.0007 * run)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(heard, "rb") as rest:
            said = first + rest.read()
        flushed = int.from_bytes(said[len(said) // 8 * 8 - 8 :][:8], "little")
        assert flushed >= 50
        series = decode_series(path.read_bytes(), recover=True)
        assert len(series.steps) >= flushed
        assert np.array_equal(series.steps, np.arange(len(series.steps)))
        assert np.array_equal(series.values[:, 1], np.arange(len(series.steps), dtype=np.float32) + np.float32(0.25))


def test_a_closed_writer_and_a_step_of_another_size() -> None:
    writer = SeriesWriter(io.BytesIO(), names=["a", "b"])
    with pytest.raises(BadArgument):
        writer.append([1.0])
    writer.close()
    writer.close()
    with pytest.raises(BadArgument):
        writer.append([1.0, 2.0])


class FullDisk(io.BytesIO):
    """A file whose writes fail, after a part of each, as long as it is full."""

    full = False
    part = 0

    def write(self, data: Any) -> int:
        if not self.full:
            return super().write(data)
        super().write(bytes(data)[: self.part])
        raise OSError(28, "No space left on device")


class Pipe(FullDisk):
    """One that cannot go back."""

    def tell(self) -> int:
        raise io.UnsupportedOperation


@pytest.mark.parametrize("part", [0, 5])
def test_a_full_disk_loses_nothing(part: int) -> None:
    file = FullDisk()
    file.part = part
    file.write(b"before")
    writer = SeriesWriter(file, names=["a"], chunk_steps=4)
    taken = 0
    for tried in range(30):
        file.full = 6 <= tried < 14
        with contextlib.suppress(OSError):
            writer.append([taken])
            taken += 1
        if tried == 12:
            assert decode_series(file.getvalue()[6:], recover=True).values[:, 0].tolist() == [0, 1, 2, 3]
    assert taken == 23  # at one step the chunk was full, and so it was at each of the next six
    writer.close()
    assert file.getvalue()[:6] == b"before"
    series = decode_series(file.getvalue()[6:])
    assert series.values[:, 0].tolist() == list(range(23))
    assert series.steps.tolist() == list(range(23))


def test_flush_can_be_tried_again() -> None:
    file = FullDisk()
    writer = SeriesWriter(file, names=["a"])
    writer.append([1])
    file.full = True
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            writer.flush()
    file.full = False
    writer.append([2])
    writer.close()
    assert decode_series(file.getvalue()).values[:, 0].tolist() == [1, 2]


def test_a_close_that_fails_leaves_a_file_to_recover() -> None:
    file = FullDisk()
    file.part = 7
    writer = SeriesWriter(file, names=["a"])
    writer.append([1])
    writer.flush()
    file.full = True
    with pytest.raises(OSError, match="No space"):
        writer.close()
    writer.close()
    with pytest.raises(BadArgument, match="closed"):
        writer.flush()
    assert decode_series(file.getvalue(), recover=True).values[:, 0].tolist() == [1]


def test_nothing_follows_a_part_that_cannot_be_cut_off() -> None:
    file = Pipe()
    file.part = 5
    writer = SeriesWriter(file, names=["a"], chunk_steps=2)
    for step in range(3):
        writer.append([step])
    file.full = True
    with pytest.raises(OSError, match="No space"):
        writer.append([3])
    file.full = False
    whole = file.getvalue()
    for refused in (writer.flush, lambda: writer.append([3]), writer.close):
        with pytest.raises(OSError, match="a write failed before"):
            refused()
    assert file.getvalue() == whole
    assert decode_series(whole, recover=True).values[:, 0].tolist() == [0, 1]


def test_a_path_that_cannot_be_written() -> None:
    with pytest.raises(OSError, match=os.strerror(2)):
        SeriesWriter("/nowhere/at/all", names=["a"])

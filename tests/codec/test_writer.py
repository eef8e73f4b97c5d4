"""What SeriesWriter flushed can be read, however the process ends."""

import io
import os
import signal
import time
from pathlib import Path

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


def test_a_path_that_cannot_be_written() -> None:
    with pytest.raises(OSError, match=os.strerror(2)):
        SeriesWriter("/nowhere/at/all", names=["a"])

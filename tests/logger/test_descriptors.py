"""Descriptors that the job closes, and opens again, as it likes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tracewinnow.logger.descriptors import Held


def test_what_is_held_is_ours_until_another_file_has_its_number(tmp_path: Path) -> None:
    read, write = os.pipe()
    held = Held(read)
    assert held.ours()
    os.close(read)
    assert not held.ours()
    other = os.open(tmp_path / "theirs", os.O_CREAT | os.O_RDWR)
    assert (other, held.ours()) == (read, False)
    held.close()
    os.close(other)  # theirs was left open
    os.close(write)


def test_what_is_held_is_closed_once() -> None:
    read, write = os.pipe()
    held = Held(read)
    held.close()
    again, other = os.pipe()
    held.close()
    assert again == read
    for fd in (again, other, write):
        os.fstat(fd)
        os.close(fd)


@pytest.mark.parametrize("closed", [(), (0,), (1,), (0, 2), (0, 1, 2)])
def test_closed_ones_are_filled_and_others_left(closed: tuple[int, ...], tmp_path: Path) -> None:
    code = f"""
import os
from tracewinnow.logger.descriptors import fill_standard
before = [os.readlink(f"/proc/self/fd/{{n}}") for n in range(3)]
for fd in {closed}: os.close(fd)
fill_standard()
after = [os.readlink(f"/proc/self/fd/{{n}}") for n in range(3)]
with open({str(tmp_path / "told")!r}, "w") as file:
    assert file.fileno() > 2
    print([n for n in range(3) if after[n] != before[n]], {{after[n] for n in {closed}}}, file=file)
assert all(map(os.get_inheritable, range(3)))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, input=b"", capture_output=True)
    told = (tmp_path / "told").read_text()
    assert told.startswith(str(list(closed)))
    assert ("/dev/null" in told) == bool(closed)

"""Descriptors of ours among those of a job, which may close any of them and open a file of its own in its place."""

from __future__ import annotations

import contextlib
import os


def mark(*fds: int) -> str:
    """Names what descriptors lead to, by device and inode. Raises OSError where one is closed."""
    return " ".join(f"{stat.st_dev}:{stat.st_ino}" for stat in map(os.fstat, fds))


def fill_standard() -> None:
    """Lead those of descriptors 0 to 2 to /dev/null that are closed.

    Else the next file that is opened gets the number, and whoever prints, as native code does, writes into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                found = os.open(os.devnull, os.O_RDWR)
                if found == number:
                    os.set_inheritable(found, True)  # the same would happen to children
                else:  # another thread was faster
                    os.close(found)


class Held:
    """A descriptor that we have opened, for as long as it leads where it did then."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._mark = mark(fd)

    def ours(self) -> bool:
        """Whether the job has left it alone."""
        try:
            return self.fd >= 0 and mark(self.fd) == self._mark
        except OSError:
            return False

    def close(self) -> None:
        """Once; what is not ours any more stays open."""
        if self.ours():
            # Forgotten first: who comes in between, or is forked, must not close another file that got the number.
            fd, self.fd = self.fd, -1
            os.close(fd)

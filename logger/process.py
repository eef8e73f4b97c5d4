"""What the kernel tells about another process: that it ended, and how."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import time
from pathlib import Path

# linux/pidfd.h, Linux 6.13:
# struct pidfd_info { u64 mask, cgroupid; u32 pid, tgid, ppid, ruid, ... (8 of them) fsgid; s32 exit_code; }
_PIDFD_GET_INFO = 0xC0000000 | 0xFF << 8 | 11
_INFO_SIZE = 64
_INFO_EXIT = 1 << 3  # Linux 6.15
_EXIT_CODE_AT = 8 + 8 + 4 * 11


class Watched:
    """A process that we did not necessarily start. pidfd: of it, opened while it was sure to live."""

    def __init__(self, pid: int, pidfd: int | None = None) -> None:
        self.pid = pid
        self._dead = False
        self._status: int | None = None
        try:
            self._fd = os.pidfd_open(pid) if pidfd is None else pidfd
        except ProcessLookupError:
            self._fd, self._dead = -1, True
        except (OSError, AttributeError):  # before Linux 5.3
            self._fd = -1

    def ended(self) -> bool:
        """Whether it has ended, without waiting."""
        if not self._dead:
            if self._fd >= 0:
                self._dead = self._ends_within(0.0)
            else:
                try:
                    os.kill(self.pid, 0)
                except ProcessLookupError:
                    self._dead = True
                except PermissionError:
                    pass
            if self._dead:
                self.status()
        return self._dead

    def wait(self, seconds: float) -> None:
        """Block for so long, or until it ends, where it lives and the kernel says so."""
        if self._dead or self._fd < 0:
            time.sleep(seconds)
        elif self._ends_within(seconds):
            self.ended()

    def status(self) -> int | None:
        """The wait status of a process that ended (see os.WIFSIGNALED); None where this kernel does not tell.

        Before Linux 6.15 it can be read only until the parent asks for it, so `ended` keeps what it was.
        """
        if self._status is None:
            self._status = self._exit_status()
        return self._status

    def _ends_within(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _exit_status(self) -> int | None:
        if self._fd < 0:
            return self._zombie_status()
        info = bytearray(struct.pack("<Q", _INFO_EXIT).ljust(_INFO_SIZE, b"\0"))
        try:
            fcntl.ioctl(self._fd, _PIDFD_GET_INFO | _INFO_SIZE << 16, info)
        except OSError:
            return self._zombie_status()
        if not struct.unpack_from("<Q", info)[0] & _INFO_EXIT:
            return self._zombie_status()
        return int(struct.unpack_from("<i", info, _EXIT_CODE_AT)[0])

    def _zombie_status(self) -> int | None:
        """From /proc, for as long as the parent has not asked for it."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return int(stat[49]) if stat[0] == "Z" else None


def signal_name(number: int) -> str:
    """ "SIGKILL" for 9; "signal 99" for a number that has no name here."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

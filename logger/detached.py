"""The process beside a job: started so that it is nobody's child to wait for, and watched by its number.

A job that waits for all of its children (`while True: os.wait()`) would wait for a child of ours for ever, and one that
collects every child that ends (SIGCHLD) would take its status from us. So a shell starts it in the background, and ends at
once; where there is no shell it is a child like any other.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence

from tracewinnow.logger import session
from tracewinnow.logger.descriptors import Held

SHELL = ("/bin/sh", "-c", '"$@" &', "sh")
LOOK_SECONDS = 0.25  # between two looks where no kernel tells that it has ended
# What it says before it closes `done`; one that was killed says nothing.
ALL_DONE, GAVE_UP = b"0", b"1"
# Not `python -m`: that would look into the job's working directory first, where any module name may stand.
BOOT = """import os, sys
born = int(sys.argv.pop(1))
try:
    os.write(born, b"%d" % os.getpid())
except OSError:
    pass  # the job has closed the other end, or has gone
os.close(born)
sys.path[:1] = []
sys.path += [entry for entry in {path!r} if entry not in sys.path]
from tracewinnow.logger.shipping import main
sys.exit(main())
"""


class Detached:
    """The shipper: a session of its own, so that Ctrl-C and a closing terminal end the job, and the shipper after it.

    pid: None until `wait` has heard of it.
    """

    def __init__(self) -> None:
        self.pid: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._born: Held | None = None  # by which it says its number
        self._write: Held | None = None
        self._handle: Held | None = None  # of the kernel, which tells when it has ended
        self._began = 0

    def start(
        self, arguments: Sequence[str], pass_fds: Sequence[int], stdout: int | None = None, stderr: int | None = None
    ) -> None:
        """Once. Raises OSError and RuntimeError where it cannot be started."""
        python = sys.executable or "python3"
        if os.path.dirname(python) and not os.access(python, os.X_OK):  # a shell would not tell us
            raise FileNotFoundError(2, "there is no such program", python)
        read, write = os.pipe()
        self._born, self._write = Held(read), Held(write)
        boot = BOOT.format(path=[entry for entry in sys.path if entry])
        command = [python, "-c", boot, str(write), *arguments]

        def run(*words: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(*pass_fds, write),
                start_new_session=True,
            )

        try:
            try:
                shell = run(*SHELL, *command)
            except OSError:
                self._child = run(*command)
            else:
                # A millisecond. Were it there still when the job goes on, the job's own os.wait() might find it.
                if status := shell.wait():
                    raise OSError(f"{SHELL[0]} ended with status {status}")
        except BaseException:
            self.forget()
            raise
        self._write.close()

    def wait(self) -> bool:
        """Block until it has ended; False where that cannot be known, for the job has closed what it would have told us by."""
        if self.pid is None:
            if self._born is None or not self._born.ours():
                return False
            pid = int(os.read(self._born.fd, 20) or 0)
            self._born.close()
            if pid:
                self._began = session.process_start(pid)
                with contextlib.suppress(OSError, AttributeError):  # it has ended; or before Linux 5.3
                    self._handle = Held(os.pidfd_open(pid))
            self.pid = pid  # now that nothing is about to be opened or closed
        if self.pid:  # else it was killed before it could say a word
            self._wait(self.pid)
        return True

    def _wait(self, pid: int) -> None:
        handle, began = self._handle, self._began
        while True:
            if told := handle is not None and handle.ours():
                poll = select.poll()
                poll.register(handle.fd, select.POLLIN)
                poll.poll()
            # Where all descriptors of its kind have one inode it may be one that the job has opened in its place.
            if (told and not began) or not _lives(pid, began):
                break
            time.sleep(LOOK_SECONDS)
        if handle is not None:
            handle.close()
        # Where it was our child, or this process collects those that nobody has, as the first of a container does.
        if self._child is not None:
            self._child.poll()
        else:
            with contextlib.suppress(OSError):
                os.waitpid(pid, os.WNOHANG)

    def forget(self) -> None:
        """In a forked child, whose concern it is not; and where it could not be started."""
        for held in (self._born, self._write, self._handle):
            if held is not None:
                held.close()


def _lives(pid: int, began: int) -> bool:
    """Whether a process that began at that time of the kernel's is there still; 0 where that is not known."""
    if began:
        return session.process_start(pid) == began
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

"""Processes that build windows while the first one reads: all cores, and none waits for the other's lock.

Protocol, JSON lines: keys of windows on stdin, one answer a line on stdout, counters or {"error": ..., "own_fault": ...}; before
all of them READY, when the imports are done. A builder ends with its stdin, so it outlives a killed parent by one build at most;
what it then still writes are the names and bytes that the next would write.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.schemas.errors import TracewinnowError

MOST = 4  # builders; each takes about 250 MB
READY = "ready\n"
START_SECONDS = 60.0


class Builders:
    """One for each core, at most MOST. Not safe for use in many threads."""

    def __init__(self, settings: Settings) -> None:
        self.answers: queue.Queue[tuple[subprocess.Popen[str], str]] = queue.Queue()
        self.each = [Builder(settings, self.answers) for _ in range(min(MOST, os.cpu_count() or 1))]

    @property
    def building(self) -> list[WindowKey]:
        """What they have in hand."""
        return [key for builder in self.each for key in builder.building]

    @property
    def free(self) -> int:
        """How many have nothing in hand."""
        return sum(not builder.building for builder in self.each)

    def submit(self, keys: Sequence[WindowKey]) -> None:
        """Ask a free one to build windows; does not block."""
        next(builder for builder in self.each if not builder.building).submit(keys)

    def poll(self, seconds: float = 0.0) -> tuple[list[WindowKey], dict[str, Any]] | None:
        """The keys of a build that is over and its counters, or None when none ends within `seconds`.

        {"error": words, "own_fault": whether the windows may have caused it} instead when it failed or its process died.
        """
        while True:
            try:
                process, row = self.answers.get(timeout=seconds) if seconds > 0 else self.answers.get_nowait()
            except queue.Empty:
                return None
            for builder in self.each:
                if builder.process is process and builder.building and row != READY:
                    keys, builder.building = builder.building, []
                    if row:
                        return keys, json.loads(row)
                    return keys, {"error": f"the building process ended with code {process.wait()}", "own_fault": True}

    def wait(self) -> None:
        """Until all are ready, for START_SECONDS at most. Only before the first request.

        Raises TracewinnowError where one has died: what it died of would end each that is started in its place.
        """
        until = time.monotonic() + START_SECONDS
        for _ in self.each:
            try:
                process, row = self.answers.get(timeout=max(0.1, until - time.monotonic()))
            except queue.Empty:
                continue
            if row != READY:
                raise TracewinnowError(
                    f"a process that builds windows ended with code {process.wait()} at its start; why stands above"
                )

    def close(self) -> None:
        """End them; waits for the builds in hand, at most a minute each."""
        for builder in self.each:
            builder.close()


class Builder:
    """Starts the process, and again when it died. One request at a time."""

    def __init__(self, settings: Settings, answers: queue.Queue[tuple[subprocess.Popen[str], str]]) -> None:
        self.settings = settings
        self.answers = answers
        self.building: list[WindowKey] = []
        self.process = self._start()  # now: its imports take longer than an answer may

    def submit(self, keys: Sequence[WindowKey]) -> None:
        """Ask for windows to be built; does not block. Only when nothing is in hand."""
        assert not self.building
        if self.process.poll() is not None:
            self.process = self._start()
        assert self.process.stdin is not None
        self.building = list(keys)
        try:
            self.process.stdin.write(json.dumps(keys) + "\n")
            self.process.stdin.flush()
        except OSError:  # it died just now; the reader thread has said so, or will
            pass

    def close(self) -> None:
        """End the process; waits for the build in hand, at most a minute."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def _start(self) -> subprocess.Popen[str]:
        # Its own session: Ctrl-C is for the parent, which lets a build end.
        process = subprocess.Popen(
            [sys.executable, "-m", "tracewinnow.pipelines.builder", self.settings.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # There is one for each core: threads of numpy would only wait for each other, and they wait busily.
            env={"OPENBLAS_NUM_THREADS": "1", **os.environ},
        )
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        return process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for row in process.stdout:
            self.answers.put((process, row))
        self.answers.put((process, ""))


def main() -> None:
    """Build what stdin asks for, until it ends."""
    from tracewinnow.cli.common import log_to_stderr

    log_to_stderr()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from tracewinnow.pipelines.rebuild import BuildHere
    from tracewinnow.pipelines.retry import innermost, own_fault
    from tracewinnow.transforms import tokens

    try:
        here = BuildHere(Settings.from_json(sys.argv[1]))
        here.build([])  # what is imported when it is needed is imported now
    except TracewinnowError as wrong:
        sys.exit(f"Error: {wrong}")
    tokens.ranks()
    gc.freeze()  # what the imports made stays: a collection need not look at it
    answers.write(READY)
    answers.flush()
    for row in sys.stdin:
        keys = [(job, start) for job, start in json.loads(row)]
        try:
            answer: dict[str, Any] = dict(here.build(keys))
        except Exception as failed:  # noqa: BLE001 - told to the parent, which tries again
            answer = {"error": innermost(failed), "own_fault": own_fault(failed)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

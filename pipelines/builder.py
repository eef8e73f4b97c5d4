"""A second process that builds windows while the first one reads: two cores, and neither waits for the other's lock.

Protocol, JSON lines: keys of windows on stdin, counters or {"error": ...} on stdout, one answer a line. It ends with its stdin, so
it outlives a killed parent by one build at most; what it then still writes are the names and bytes that the next would write.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import WindowKey


class Builder:
    """Starts the process when it is needed, and again when it died. One request at a time; not safe for use in many threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process: subprocess.Popen[str] | None = None
        self.answers: queue.Queue[str] = queue.Queue()
        self.busy = False
        self._start()  # now: its imports take longer than an answer may

    def submit(self, keys: Sequence[WindowKey]) -> None:
        """Ask for windows to be built; does not block. Only when not busy."""
        assert not self.busy
        if self.process is None or self.process.poll() is not None:
            self._start()
        assert self.process is not None
        assert self.process.stdin is not None
        self.busy = True
        try:
            self.process.stdin.write(json.dumps(keys) + "\n")
            self.process.stdin.flush()
        except OSError:  # it died just now; the reader thread has said so, or will
            pass

    def poll(self, seconds: float = 0.0) -> dict[str, Any] | None:
        """The answer, or None when there is none within `seconds`. {"error": ...} when the build failed or the process died."""
        try:
            answer = self.answers.get(timeout=seconds) if seconds > 0 else self.answers.get_nowait()
        except queue.Empty:
            return None
        self.busy = False
        if not answer:
            code = self.process.wait() if self.process else None
            return {"error": f"the building process ended with code {code}"}
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        """End the process; waits for the build in hand, at most a minute."""
        if self.process is None:
            return
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def _start(self) -> None:
        # Its own session: Ctrl-C is for the parent, which lets a build end.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tracewinnow.pipelines.builder", self.settings.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.answers = queue.Queue()
        threading.Thread(target=self._read, args=(self.process, self.answers), daemon=True).start()

    @staticmethod
    def _read(process: subprocess.Popen[str], answers: queue.Queue[str]) -> None:
        assert process.stdout is not None
        for row in process.stdout:
            answers.put(row)
        answers.put("")


def main() -> None:
    """Build what stdin asks for, until it ends."""
    from tracewinnow.cli.common import log_to_stderr

    log_to_stderr()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from tracewinnow.pipelines.rebuild import construct
    from tracewinnow.pipelines.retry import innermost
    from tracewinnow.pipelines.run import run_here

    settings = Settings.from_json(sys.argv[1])
    for row in sys.stdin:
        keys = [(job, start) for job, start in json.loads(row)]
        try:
            answer: dict[str, Any] = dict(run_here(lambda pipeline, keys=keys: construct(pipeline, keys, settings)))  # type: ignore[misc]
        except Exception as failed:  # noqa: BLE001 - told to the parent, which tries again
            answer = {"error": innermost(failed)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

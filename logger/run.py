"""The run: what the job's code holds in its hand. Every public method returns quickly and never raises."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tracewinnow.brokers import wrong_address
from tracewinnow.logger import arguments, hooks, identity, session, spool, spool_writer, wire
from tracewinnow.logger.capture import Companion
from tracewinnow.logger.descriptors import fill_standard, mark
from tracewinnow.logger.recorder import Recorder, quiet

FINISH_SECONDS = 5.0
SHORT_TEXT = 8000  # bytes of a crash's message, and of its traceback, where a full disk has no room for all

_runs: weakref.WeakSet[Run] = weakref.WeakSet()


class Run(Recorder):
    """A job, or one rank of it, while it runs; `start` makes it. Thread-safe; a forked child writes to a lane of its own.

    dropped: events that could not be recorded, in this process.
    """

    def __init__(self, directory: Path | None, who: session.Session | None, warn: bool = True) -> None:
        self.directory, self.session = directory, who
        self.job = who.identity.job_id if who else ""
        self.process_uuid = who.identity.process_uuid if who else ""
        super().__init__(None if directory is None else spool_writer.Writer(directory, self.process_uuid, "job"), warn)
        self._pid = os.getpid()
        self._finishing = threading.RLock()
        self._busy = False  # with the end
        self._crashed = False
        self._companion: Companion | None = None
        self._hooks: hooks.Hooks | None = None
        _runs.add(self)

    @quiet
    def finish(self, exit_code: int = 0, timeout: float = FINISH_SECONDS) -> None:
        """Say how the job ended, undo the capture, and wait at most `timeout` seconds for everything to be sent.

        Called by itself at the interpreter's exit and at the end of the `with` block. Again: nothing.
        """
        seconds = arguments.seconds(timeout, FINISH_SECONDS)
        # Of several threads one does it, and the others wait for it; a signal handler within it, or a finalizer, does not.
        if os.getpid() != self._pid or not self._finishing.acquire(timeout=seconds):
            return
        try:
            if not self._finished and not self._busy:
                self._busy = True
                try:
                    self._finish(exit_code, seconds)
                finally:
                    self._busy = False
        finally:
            self._finishing.release()

    def _finish(self, exit_code: int, seconds: float) -> None:
        if self._hooks is not None:
            self._hooks.remove()
        for watch in self._watches:
            watch.close()
        if self._companion is not None:
            self._companion.drain()
        self._tell_losses()
        if not self._crashed:
            code = hooks.exit_code(exit_code)
            if code:
                self.crash("finish", f"exit code {code}", exit_code=code)
            else:
                self._append(spool.STOP, wire.stop(0, "finished"))
        if self._companion is not None:
            self._companion.ending()
        self._append(spool.END, b"")
        self._finished = True
        if self._companion is not None:
            self._companion.leave(seconds)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() != self._pid:  # what a forked child raises is not the job's
            return
        if kind is None:
            self.finish()
        elif issubclass(kind, SystemExit):
            self.finish(hooks.exit_code(getattr(value, "code", None)))
        else:
            with contextlib.suppress(Exception):
                self.crash("with", **hooks.describe(kind, value, trace))
            self.finish(1)

    # What the hooks report; see hooks.Listener

    def captured(self, stream: Any) -> bool:
        """Whether what is written to a Python stream goes through the tee."""
        companion = self._companion
        if companion is None or not companion.captured:
            return False
        try:
            return mark(stream.fileno()) in companion.captured  # the job may have led it elsewhere
        except Exception:  # noqa: BLE001 - closed, or not a real file
            return False

    @quiet
    def crash(self, reported_by: str, message: str, **details: Any) -> None:
        """The job ends by an error. details: exit_code, signal, exception_type, traceback."""
        if self._companion is not None:
            self._companion.drain()  # its traceback was printed a moment ago
        payload = wire.crash(reported_by, message, **details)
        if not self._append(spool.CRASH, payload) and len(payload) > 3 * SHORT_TEXT:
            # On a full disk there is room for an end, and not for a long one.
            details["traceback"] = arguments.clip_front(details.get("traceback", ""), SHORT_TEXT)
            self._append(spool.CRASH, wire.crash(reported_by, arguments.clip(message, SHORT_TEXT), **details))
        self._crashed = True

    # Inside

    def _say(self, line: str) -> None:
        if self._companion is not None:
            self._companion.say(line)
        else:
            super()._say(line)

    def _tell_losses(self) -> None:
        if dropped := self.dropped:
            text = f"tracewinnow: {dropped} events could not be recorded"
            self._append(spool.NOTE, wire.log(text.encode(), wire.API, 30, "tracewinnow"))

    def _begin(self, capture: bool, config: Mapping[str, Any] | None) -> None:
        if self.directory is None or self.session is None or self._lane is None:
            return
        self.session.save(self.directory)
        self._append(
            spool.START,
            wire.start(
                arguments.bounded(sys.argv),
                arguments.clip(identity.working_directory(), 4096),
                arguments.bounded_map(identity.versions()),
                arguments.bounded_map(config),
            ),
        )
        if self._lane.short:
            self._warn(
                f"{self.directory} has little room ({self._lane.error}): only the beginning and the end are sure of it"
            )
        companion = Companion(self.directory, self.process_uuid, capture, self._warn)
        try:
            companion.start()
            self._companion = companion
        except (OSError, RuntimeError) as wrong:
            self._warn(f"no shipper could be started ({wrong}); send with `tracewinnow sync {self.directory}`")
        self._hooks = hooks.Hooks(self)
        self._hooks.install()

    def _after_fork(self) -> None:
        """In a forked child: a lane of its own, made when it is needed. Its end is not the job's."""
        if self._companion is not None:
            self._companion.forget()
        if self.directory is not None and not self._finished:
            self._lane = spool_writer.Writer(
                self.directory, self.process_uuid, f"fork{os.getpid()}x{time.time_ns():x}", 1
            )


def _after_fork_in_child() -> None:
    for run in list(_runs):
        with contextlib.suppress(Exception):
            run._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)


def start(
    job: str | None = None,
    accelerator: str = "cpu",
    model: str = "",
    user: str | None = None,
    bootstrap: str | None = None,
    spool: str | os.PathLike[str] | None = None,
    rank: int | None = None,
    world_size: int | None = None,
    config: Mapping[str, Any] | None = None,
    labels: Mapping[str, Any] | None = None,
    capture: bool = True,
    retain: float = session.RETAIN_SECONDS,
) -> Run:
    """Begin to record this process; returns within milliseconds and never raises.

    job: id of the job, the same for all ranks; from the launcher's environment when None.
    accelerator: "tpu", "gpu" or "cpu"; it chooses the topic.
    bootstrap: "host:port,..." of Kafka, else TRACEWINNOW_BOOTSTRAP; without both, batches stay in the spool.
    spool: a directory on a local disk, else TRACEWINNOW_SPOOL, else /var/tmp/tracewinnow-<uid>.
    rank, world_size: from the launcher's environment when None.
    config: what the job was started with. labels: short texts for every batch.
    capture: stdout and stderr as well, at the level of descriptors.
    retain: seconds that batches stay in the spool after they were sent.
    """
    try:
        fill_standard()  # before anything is opened: it would take the place of the job's output
        who = identity.new_session(job, accelerator, model, user, bootstrap, rank, world_size, labels, retain)
        run = Run(identity.spool_directory(spool), who)
        if str(accelerator).lower() != who.identity.accelerator:
            run._warn(f'accelerator is "tpu", "gpu" or "cpu", not {accelerator!r}; taken as "cpu"')
        if other := identity.renamed(job, who.identity):
            run._warn(other)
        if trouble := wrong_address(who.bootstrap):
            run._warn(f"{trouble}. Nothing is sent; what is recorded stays in the spool")
    except Exception as wrong:  # noqa: BLE001
        run = Run(None, None)
        run.failed(f"nothing is recorded: {wrong}")
        return run
    try:
        busy = any(other._hooks is not None and not other._finished for other in _runs if other is not run)
        if busy and capture:
            run._warn(
                "another run captures the output of this process already; this one records what its methods are given"
            )
        run._begin(bool(capture) and not busy, config)
    except Exception as wrong:  # noqa: BLE001
        run.failed(f"start: {type(wrong).__name__}: {wrong}")
    return run

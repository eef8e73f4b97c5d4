"""What Python tells about itself: log records, uncaught exceptions, fatal signals, the exit; `remove` undoes it.

A log record that a handler prints to the captured output is recorded once, as the printed line; every other record is
recorded from here, with its level and logger. `logging` itself is left as it is: a root handler of ours would make the
job's own `logging.basicConfig` do nothing, so `Logger.callHandlers` is wrapped instead.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import functools
import logging
import os
import reprlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Protocol

from tracewinnow.logger import arguments

LONGEST_TRACEBACK = 200_000  # bytes, and as many of the message: both stand in one event
_formatter = logging.Formatter("%(message)s")
_arguments = reprlib.Repr()  # no more of each than a line has room for, and never an exception
_arguments.maxtuple = _arguments.maxlist = _arguments.maxdict = 20
_arguments.maxstring = _arguments.maxlong = _arguments.maxother = 1000


class Listener(Protocol):
    """What the hooks report to. Nothing here may raise."""

    def captured(self, stream: Any) -> bool: ...
    def record(self, text: str, level: int, logger: str) -> None: ...
    def crash(self, reported_by: str, message: str, **details: Any) -> None: ...
    def finish(self, exit_code: int = 0) -> None: ...


class Leaving:
    """Kept by the call of sys.exit in whose frame it stands, and so by the traceback of the SystemExit that it raises.

    That goes while the program runs, where something catches it, and behind all of the program, where nothing does.
    """

    def __init__(self, code: int, left: Callable[[int], None]) -> None:
        self.code, self.left, self.thread = code, left, threading.get_ident()

    def __del__(self) -> None:
        if sys._getframe().f_back is None and threading.get_ident() == self.thread:
            self.left(self.code)


class Hooks:
    """What this file speaks of. `install` once, in the main thread where there is a choice; `remove` puts everything back."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.exit_code: int | None = None  # of the sys.exit in the main thread that nothing caught
        self._pid = os.getpid()
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        self._logging()
        self._replace(sys, "excepthook", self._on_exception, after=True)
        self._replace(threading, "excepthook", self._on_thread_exception)
        self._replace(sys, "exit", self._on_exit)
        with contextlib.suppress(Exception):  # a notebook's stderr has no descriptor
            if not faulthandler.is_enabled():
                faulthandler.enable(file=2)
                self._undo.append(faulthandler.disable)
        if threading.current_thread() is threading.main_thread():
            self._sigterm()
        atexit.register(self._at_exit)
        self._undo.append(lambda: atexit.unregister(self._at_exit))
        self._worker()

    def remove(self) -> None:
        while self._undo:
            with contextlib.suppress(Exception):
                self._undo.pop()()

    def _replace(self, module: Any, name: str, hook: Callable[..., Any], after: bool = False) -> None:
        """Call a hook before (or after, whatever happens) what stood there."""
        previous = getattr(module, name)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            try:
                if not after:
                    with contextlib.suppress(Exception):
                        _kept = hook(*args, **kwargs)  # for as long as this frame lives, see Leaving
                return previous(*args, **kwargs)
            finally:
                if after:
                    with contextlib.suppress(Exception):
                        hook(*args, **kwargs)

        def undo() -> None:
            if getattr(module, name) is wrapper:  # else somebody wrapped us in turn; we do nothing any more
                setattr(module, name, previous)

        setattr(module, name, wrapper)
        self._undo.append(undo)

    def _logging(self) -> None:
        def on_record(logger: logging.Logger, record: logging.LogRecord) -> None:
            if not self._undo or self._printed(logger, record):
                return
            self.listener.record(record_text(record), record.levelno, record.name)

        self._replace(logging.Logger, "callHandlers", on_record)

    def _printed(self, logger: logging.Logger, record: logging.LogRecord) -> bool:
        """Whether a handler will print the record to the captured output."""
        found = False
        at: logging.Logger | None = logger
        while at is not None:
            for handler in at.handlers:
                found = True
                # A handler with filters may drop it: better twice than not at all.
                if (
                    isinstance(handler, logging.StreamHandler)
                    and prints(handler)
                    and record.levelno >= handler.level
                    and not handler.filters
                    and self.listener.captured(getattr(handler, "stream", None))
                    and (logging.raiseExceptions or formats(handler, record))
                ):
                    return True
            at = at.parent if at.propagate else None
        last = logging.lastResort
        if found or last is None or record.levelno < last.level or not self.listener.captured(sys.stderr):
            return False
        return logging.raiseExceptions or formats(last, record)

    def _on_exception(self, kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if self._undo and os.getpid() == self._pid:  # the end of a forked child is not that of the job
            self.listener.crash("excepthook", **describe(kind, value, trace))

    def _on_thread_exception(self, args: Any) -> None:
        # The job goes on without the thread: an error, not a crash. Printed to stderr by the hook that follows.
        if self._undo and args.exc_type is not SystemExit and not self.listener.captured(sys.stderr):
            text = describe(args.exc_type, args.exc_value, args.exc_traceback)["traceback"]
            self.listener.record(
                f"Exception in thread {getattr(args.thread, 'name', '?')}:\n{text}", logging.ERROR, "threading"
            )

    def _on_exit(self, status: Any = None) -> Leaving | None:
        if threading.current_thread() is not threading.main_thread():
            return None
        return Leaving(exit_code(status), functools.partial(setattr, self, "exit_code"))

    def _at_exit(self) -> None:
        self.listener.finish(self.exit_code or 0)

    def _worker(self) -> None:
        """A worker of multiprocessing ends by os._exit, behind finalizers of its own and without those of atexit."""
        process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
        if process is None or util is None or process.parent_process() is None:
            return
        finalizer = util.Finalize(None, self._at_worker_exit, exitpriority=-100)  # the last of them
        self._undo.append(finalizer.cancel)

    def _at_worker_exit(self) -> None:
        kind, value, trace = sys.exc_info()
        if kind is not None and not issubclass(kind, SystemExit):
            # Its traceback is printed behind us, and no hook is called: the shipper tells the exit.
            self._on_exception(kind, value, trace)  # type: ignore[arg-type]
            return
        self.listener.finish(exit_code(getattr(value, "code", None)))

    def _sigterm(self) -> None:
        """Note SIGTERM and pass it on, where the job has a handler of its own.

        Where it has none, nothing is installed: the default action ends a process that hangs in native code, and a child
        in the middle of its fork; a handler of Python does neither. Then the shipper tells how the process ended.
        """
        previous = signal.getsignal(signal.SIGTERM)
        if not callable(previous):
            return

        def on_sigterm(number: int, frame: FrameType | None) -> None:
            if self._undo and os.getpid() == self._pid:
                self.listener.record("tracewinnow: SIGTERM received", logging.WARNING, "tracewinnow")
            previous(number, frame)

        def undo() -> None:
            if signal.getsignal(signal.SIGTERM) is on_sigterm:
                signal.signal(signal.SIGTERM, previous)

        signal.signal(signal.SIGTERM, on_sigterm)
        self._undo.append(undo)


def prints(handler: logging.StreamHandler[Any]) -> bool:
    """Whether it writes whatever it is given. What a subclass makes of a record nobody knows: better twice than not at all."""
    own = getattr(handler.emit, "__func__", None), getattr(handler.handle, "__func__", None)
    return own == (logging.StreamHandler.emit, logging.Handler.handle)


def formats(handler: logging.Handler, record: logging.LogRecord) -> bool:
    """Whether it can make a text of a record. Where it cannot, it prints that, unless logging.raiseExceptions is off."""
    try:
        handler.format(record)
        return True
    except Exception:  # noqa: BLE001 - as Handler.handleError is called for
        return False


def record_text(record: logging.LogRecord) -> str:
    """What a plain handler would print of a record; message and arguments apart where they do not fit. Never raises."""
    try:
        return _formatter.format(record) if record.exc_info or record.stack_info else record.getMessage()
    except Exception:  # noqa: BLE001 - `logging` raises it only when a handler formats the record
        try:
            message = str(record.msg)
        except Exception:  # noqa: BLE001
            message = _arguments.repr(record.msg)
        return f"{message} {_arguments.repr(record.args)}"


def exit_code(status: Any) -> int:
    """What the interpreter makes of the argument of SystemExit."""
    if status is None:
        return 0
    return int(status) & 0xFF if isinstance(status, int) else 1


def describe(kind: type[BaseException], value: BaseException | None, trace: TracebackType | None) -> dict[str, str]:
    """exception_type, message and traceback of an exception; the end of a traceback that is too long."""
    try:
        text = "".join(traceback.format_exception(kind, value, trace))
    except Exception as wrong:  # noqa: BLE001 - an exception whose __str__ raises
        text = f"{kind.__name__} (its description raised {type(wrong).__name__})"
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    try:
        message = str(value)
    except Exception:  # noqa: BLE001
        message = ""
    return {
        "exception_type": arguments.clip(module + kind.__qualname__),
        "message": arguments.clip(message[:LONGEST_TRACEBACK], LONGEST_TRACEBACK),
        "traceback": arguments.clip_front(text[-LONGEST_TRACEBACK:], LONGEST_TRACEBACK),
    }

"""Events of a job into its lane of the spool. Every public method returns quickly and never raises."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tracewinnow.logger import arguments, spool, spool_writer, wire

_LEVEL_BYTES = [bytes((level,)) for level in range(256)]
NAMES_IN_EVENT = 1000  # layers or metrics; larger sets become several events

if TYPE_CHECKING:
    from tracewinnow.logger.watch import Watch

_F = TypeVar("_F", bound=Callable[..., Any])


def quiet(method: _F) -> _F:
    """An error in here is counted and told once; it never reaches the job."""

    @functools.wraps(method)
    def guarded(self: Recorder, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as wrong:  # noqa: BLE001
            self.failed(f"run.{method.__name__}: {type(wrong).__name__}: {wrong}")
            return None

    return guarded  # type: ignore[return-value]


class Recorder:
    """What the job says, in a process. Thread-safe.

    dropped: events that could not be recorded, in this process.
    """

    def __init__(self, lane: spool_writer.Writer | None, warn: bool) -> None:
        self._lane = lane
        self._failures = 0
        self._told = not warn
        self._finished = False
        self._watches: list[Watch] = []

    def log(self, text: object, level: int | str = 20) -> None:
        """Record a line or a block of lines. level: of Python's logging, as number or name."""
        try:
            if type(text) is str and text.isascii():  # as nearly every line is
                data = text.encode()
            else:
                data = wire.text_bytes(text if type(text) is str else str(text))
            if type(level) is not int or not 0 <= level < 256:
                level = arguments.level(level)
            if len(data) > wire.LONGEST_TEXT:
                self._long(data, wire.API, level, "")
            elif 0 <= level < 256:
                lane = self._lane  # as _append does it
                if (
                    lane is None
                    or self._finished
                    or not lane.append(spool.LINE, _LEVEL_BYTES[level] + data, time.time_ns())
                ):
                    self._unwritten(lane)
            else:
                self._append(spool.EVENT, wire.log(data, wire.API, level))
        except Exception as wrong:  # noqa: BLE001
            self.failed(f"run.log: {type(wrong).__name__}: {wrong}")

    @quiet
    def metrics(self, step: int, values: Mapping[str, Any]) -> None:
        """Record numbers of a step. values: name -> number, or a mapping of them (names are joined by "/").

        A number on a device that is still being computed is waited for, as `float(...)` does.
        """
        bad: list[str] = []
        number, pairs = arguments.integer(step), list(arguments.numbers(values, bad))
        for at in range(0, len(pairs), NAMES_IN_EVENT):
            self._append(spool.EVENT, wire.metrics(number, pairs[at : at + NAMES_IN_EVENT]))
        for what in bad:  # each of them is counted, and the others stand
            self.failed(f"run.metrics: {what}")

    @quiet
    def layers(self, step: int, tree: Any, statistic: str = "grad_norm") -> None:
        """Record the 2-norm of each leaf of a tree of arrays (nested dict, list, tuple; JAX or numpy)."""
        from tracewinnow.logger.trees import norms

        self.vector(step, *norms(tree), statistic=statistic, dtype=wire.FLOAT64)

    @quiet
    def vector(self, step: int, names: list[str], data: bytes, statistic: str, dtype: int) -> None:
        """Record one number a layer that is computed already. data: len(names) numbers, little-endian."""
        width = wire.ITEM_BYTES[dtype]
        if len(data) != len(names) * width:  # a pipeline would refuse the whole batch
            raise ValueError(f"{len(data)} bytes for {len(names)} layers; {len(names) * width} would be right")
        for at in range(0, len(names), NAMES_IN_EVENT):
            part = [arguments.clip(name, 256) for name in names[at : at + NAMES_IN_EVENT]]
            numbers = data[at * width : (at + len(part)) * width]
            self._append(
                spool.EVENT, wire.layers(arguments.integer(step), str(statistic), part, dtype, numbers, len(part))
            )

    @quiet
    def watch(self, model: Any, every: int = 1, first_step: int = 0) -> None:
        """Record gradient and weight norms of each parameter of a torch module, at every so many optimizer steps.

        Steps are those of any torch optimizer that holds parameters of the module, counted from first_step. The device
        is never waited for: norms are recorded one or more steps later.
        """
        from tracewinnow.logger.watch import Watch

        watch = Watch(self, model, arguments.integer(every), arguments.integer(first_step))
        for one in self._watches:
            if one.closed:
                one.close()
        self._watches = [*(one for one in self._watches if not one.closed), watch]

    @contextlib.contextmanager
    def span(self, name: str, category: str = "", device: str = "") -> Iterator[None]:
        """Record how long a block took, and the exception that ended it. The exception goes on."""
        start_ns, began, error = time.time_ns(), time.perf_counter_ns(), ""
        try:
            yield
        except BaseException as wrong:
            error = f"{type(wrong).__name__}: {_text(wrong)}"
            raise
        finally:
            self._span(name, category, device, start_ns, time.perf_counter_ns() - began, error)

    @quiet
    def _span(self, name: str, category: str, device: str, start_ns: int, duration_ns: int, error: str) -> None:
        words = [arguments.clip(word) for word in (name, category, device)]
        self._append(spool.EVENT, wire.span(words[0], words[1], start_ns, duration_ns, words[2], error))

    @quiet
    def memory(self) -> None:
        """Record memory of this process, and of each CUDA device when torch is in use."""
        from tracewinnow.logger.memory import readings

        for device, used, reserved, peak, limit in readings():
            self._append(spool.EVENT, wire.memory(device, used, reserved, peak, limit))

    @quiet
    def record(self, text: str, level: int, logger: str) -> None:
        self._long(wire.text_bytes(text), wire.LOGGING, arguments.level(level), arguments.clip(logger))

    @property
    def dropped(self) -> int:
        return self._failures + (self._lane.lost if self._lane else 0)

    # Inside

    def _append(self, kind: int, payload: bytes) -> bool:
        """Whether it is recorded; else it is counted and told."""
        lane = self._lane
        if lane is None or self._finished or not lane.append(kind, payload, time.time_ns()):
            self._unwritten(lane)
            return False
        return True

    def _unwritten(self, lane: spool_writer.Writer | None) -> None:
        if lane is None:
            self.failed("the run has no spool")
        elif self._finished:
            self.failed("the run is finished")
        else:
            self.failed(f"the spool cannot be written: {lane.error}", counted=True)

    def _long(self, data: bytes, stream: int, level: int, logger: str) -> None:
        for piece in wire.split_text(data):
            self._append(spool.EVENT, wire.log(piece, stream, level, logger))

    def failed(self, reason: str, counted: bool = False) -> None:
        """Count what could not be recorded, and tell the first of it."""
        if not counted:
            self._failures += 1
        if not self._told:
            self._told = True
            self._warn(f"{reason}; such events are dropped and counted")

    def _warn(self, text: str) -> None:
        with contextlib.suppress(Exception):
            self._say(f"tracewinnow: {text}")

    def _say(self, line: str) -> None:
        """A line for the person."""
        os.write(2, line.encode("utf-8", "backslashreplace") + b"\n")


def _text(wrong: BaseException) -> str:
    try:
        return arguments.clip(wrong, 10_000)
    except Exception:  # noqa: BLE001 - its __str__ raises
        return ""

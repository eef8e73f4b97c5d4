"""What an exception and a log record are made into, whatever they hold."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

import pytest

from tracewinnow.logger import hooks, spool, wire


class Nasty:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Silent(logging.StreamHandler):  # type: ignore[type-arg]
    """As launchers have them for every rank but the first."""

    def emit(self, record: logging.LogRecord) -> None:
        pass


class Picky(logging.StreamHandler):  # type: ignore[type-arg]
    def handle(self, record: logging.LogRecord) -> bool:
        return False


class Pretty(logging.StreamHandler):  # type: ignore[type-arg]
    def format(self, record: logging.LogRecord) -> str:
        return f"* {record.getMessage()}"


class Ears:
    """Hears what the hooks report, and finds every stream captured."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def captured(self, stream: object) -> bool:
        return True

    def record(self, text: str, level: int, logger: str) -> None:
        self.heard.append(text)

    def crash(self, reported_by: str, message: str, **details: Any) -> None:
        self.heard.append(message)

    def finish(self, exit_code: int = 0) -> None:
        pass


def record(message: object, *arguments: object, exc_info: bool = False) -> logging.LogRecord:
    return logging.LogRecord("x", 20, "f.py", 1, message, arguments, sys.exc_info() if exc_info else None)


@pytest.mark.parametrize("character", ["x", "ж", "字", "\N{PILE OF POO}", "\ud800"])
@pytest.mark.parametrize("count", [10, 150_000, 1_000_000])
def test_an_exception_finds_room_in_one_event(character: str, count: int) -> None:
    described: dict[str, Any] = hooks.describe(ValueError, ValueError(f"begin {character * count} end"), None)
    payload = wire.crash("excepthook", **described)
    assert len(payload) < spool.LARGEST // 2
    assert described["message"].startswith("begin ")
    assert described["traceback"].endswith(" end\n")
    for text in described.values():
        text.encode()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (record("the %s message", "only"), "the only message"),
        (record("loss is %d at %s", "nan"), "loss is %d at %s ('nan',)"),
        (record("%d", "x"), "%d ('x',)"),
        (record("too many", 1, 2), "too many (1, 2)"),
        (record("%(a)d", {"b": 1}), "%(a)d {'b': 1}"),
        (record(Nasty()), "<Nasty instance at"),
        (record("%s and %s", Nasty(), 1), "%s and %s (<Nasty instance at"),
    ],
)
def test_a_record_has_a_text(given: logging.LogRecord, text: str) -> None:
    assert hooks.record_text(given).startswith(text)


def test_a_record_has_its_traceback() -> None:
    try:
        raise KeyError("shard-3")
    except KeyError:
        lines = hooks.record_text(record("failed", exc_info=True)).split("\n")
    assert (lines[0], lines[-1]) == ("failed", "KeyError: 'shard-3'")


def test_large_arguments_that_do_not_fit_are_shortened() -> None:
    assert len(hooks.record_text(record("%d", "x" * 1_000_000, list(range(100_000))))) < 2000


@pytest.mark.parametrize("handled", [True, False])
def test_a_record_that_no_handler_can_format(monkeypatch: pytest.MonkeyPatch, handled: bool) -> None:
    """`logging` prints it with its arguments, unless it was told to keep still."""
    ears, printed = Ears(), io.StringIO()
    log = logging.Logger("x")
    if handled:
        log.addHandler(logging.StreamHandler(printed))
    work = hooks.Hooks(ears)
    work._logging()
    try:
        log.error("loss is %d", "nan")
        assert ears.heard == []
        monkeypatch.setattr(logging, "raiseExceptions", False)
        log.error("loss is %d", "nan")
        log.error("loss is %d", 1)
    finally:
        work.remove()
    assert ears.heard == ["loss is %d ('nan',)"]
    assert printed.getvalue() == ("loss is 1\n" if handled else "")


def test_only_a_handler_that_writes_everything_prints() -> None:
    stream = io.StringIO()
    plain = logging.StreamHandler(stream)
    assert hooks.prints(plain)
    assert hooks.prints(Pretty(stream))
    assert not hooks.prints(Silent(stream))
    assert not hooks.prints(Picky(stream))
    plain.emit = lambda record: None  # type: ignore[method-assign]
    assert not hooks.prints(plain)

"""What a job passes, made into what events can hold: any type, any size."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "WARN": 30, "ERROR": 40, "CRITICAL": 50, "FATAL": 50}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
LONGEST_LIST = 100_000  # bytes of argv, of config and of versions


def level(value: object) -> int:
    """A level of logging by number or name; INFO where it is neither."""
    if isinstance(value, str):
        return LEVELS.get(value.upper(), 20)
    found = integer(value, 20)
    return found if -(1 << 31) <= found < 1 << 31 else 20


def integer(value: Any, otherwise: int | None = None) -> int:
    """An int64. Raises ValueError or TypeError where it is none and nothing is to stand for it."""
    try:
        found = int(value)
        if -(1 << 63) <= found < 1 << 63:
            return found
        raise ValueError(f"{found} does not fit into 64 bits")
    except (TypeError, ValueError, OverflowError):
        if otherwise is None:
            raise
        return otherwise


def optional_int32(value: object) -> int | None:
    """A rank or a number of ranks, or None where it is not one."""
    found = integer(value, -1)
    return found if 0 <= found < 1 << 31 else None


def seconds(value: Any, otherwise: float) -> float:
    """A duration that is finite and not negative."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return otherwise
    return min(found, 1e9) if math.isfinite(found) and found >= 0 else otherwise


def one_line(value: object, longest: int = 1024) -> str:
    """The same without control characters, and without blanks at its ends."""
    return clip(_CONTROL.sub(" ", str(value)).strip(), longest)


def clip(value: object, longest: int = 1024) -> str:
    """Text of at most that many bytes of UTF-8."""
    return str(value).encode("utf-8", "backslashreplace")[:longest].decode("utf-8", "ignore")


def clip_front(text: str, longest: int) -> str:
    """The end of a text, of at most that many bytes of UTF-8."""
    return text.encode("utf-8", "backslashreplace")[-longest:].decode("utf-8", "ignore")


def numbers(values: Mapping[str, Any], bad: list[str], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    """(name, number) of a mapping; nested ones are joined by "/". bad: takes what is wrong with those that are none."""
    for key, value in values.items():
        name = prefix
        try:
            name = f"{prefix}/{key}" if prefix else str(key)
            nested = isinstance(value, Mapping) and depth < 20
            number = None if nested or value is None else float(value)
        except Exception as wrong:  # noqa: BLE001 - whatever a value of the job's own raises
            bad.append(f"{clip(name, 256)!r} is no number ({type(wrong).__name__})")
            continue
        if nested:
            yield from numbers(value, bad, name, depth + 1)
        elif number is not None:
            yield clip(name, 256), number


def bounded(words: Iterable[object], longest: int = LONGEST_LIST) -> list[str]:
    """Texts until their bytes come to that many; a last one says how many were left out."""
    taken: list[str] = []
    room, found = longest, list(words)
    for word in found:
        text = clip(word, 10_000)
        room -= len(text.encode()) + 8
        if room < 0:
            return [*taken, f"... ({len(found) - len(taken)} more)"]
        taken.append(text)
    return taken


def bounded_map(values: Mapping[Any, Any] | None, longest: int = LONGEST_LIST) -> dict[str, str]:
    """The same for a mapping."""
    taken: dict[str, str] = {}
    room, values = longest, dict(values or {})
    for key, value in values.items():
        name, text = clip(key, 256), clip(value, 10_000)
        room -= len(name.encode()) + len(text.encode()) + 8
        if room < 0:
            taken["..."] = f"{len(values) - len(taken)} more"
            break
        taken[name] = text
    return taken

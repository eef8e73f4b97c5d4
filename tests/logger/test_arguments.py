"""Whatever a job passes becomes something that an event can hold."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow.logger import arguments

ANYTHING = st.none() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.integers(), max_size=2)


@given(ANYTHING)
def test_anything_goes(value: Any) -> None:
    assert -(1 << 31) <= arguments.level(value) < 1 << 31
    rank = arguments.optional_int32(value)
    assert rank is None or 0 <= rank < 1 << 31
    assert math.isfinite(arguments.seconds(value, 5.0))
    assert len(arguments.clip(value, 10).encode()) <= 10


@pytest.mark.parametrize(
    ("value", "level"), [("error", 40), ("Warn", 30), (10, 10), ("nonsense", 20), (None, 20), (1 << 40, 20)]
)
def test_levels(value: object, level: int) -> None:
    assert arguments.level(value) == level


def test_numbers_are_flattened() -> None:
    values = {"loss": 1, "eval": {"acc": 0.5, "none": None, "deep": {"x": True}}}
    bad: list[str] = []
    assert list(arguments.numbers(values, bad)) == [("loss", 1.0), ("eval/acc", 0.5), ("eval/deep/x", 1.0)]
    assert bad == []


def test_what_is_no_number_leaves_the_others() -> None:
    class Nasty:
        def __float__(self) -> float:
            raise RuntimeError("no")

        __str__ = __float__  # type: ignore[assignment]

    bad: list[str] = []
    values: dict[Any, Any] = {"a": 1, "loss": "high", "x": {"y": [1], "z": 2}, Nasty(): 3, "n": Nasty(), "b": 4}
    assert list(arguments.numbers(values, bad)) == [("a", 1.0), ("x/z", 2.0), ("b", 4.0)]
    assert bad == [
        "'loss' is no number (ValueError)",
        "'x/y' is no number (TypeError)",
        "'' is no number (RuntimeError)",
        "'n' is no number (RuntimeError)",
    ]
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    bad = []
    assert list(arguments.numbers(loop, bad)) == []
    assert len(bad) == 1


@given(st.text(), st.integers(1, 40))
def test_one_line(text: str, longest: int) -> None:
    found = arguments.one_line(text, longest)
    assert len(found.encode()) <= longest
    assert not any(ord(character) < 32 or ord(character) == 127 for character in found)


@given(st.lists(st.text(max_size=30), max_size=30), st.integers(0, 300))
def test_lists_are_bounded(words: list[str], longest: int) -> None:
    found = arguments.bounded(words, longest)
    assert sum(len(word.encode()) for word in found[:-1]) <= longest
    if found != [arguments.clip(word) for word in words]:
        assert found[-1] == f"... ({len(words) - len(found) + 1} more)"


@given(st.dictionaries(st.text(max_size=10), ANYTHING, max_size=20), st.integers(0, 300))
def test_mappings_are_bounded(values: dict[str, Any], longest: int) -> None:
    found = arguments.bounded_map(values, longest)
    assert len(found) <= len(values) + 1
    assert sum(len(key.encode()) + len(value.encode()) for key, value in found.items() if key != "...") <= longest

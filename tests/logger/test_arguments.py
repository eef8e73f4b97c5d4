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
    assert list(arguments.numbers(values)) == [("loss", 1.0), ("eval/acc", 0.5), ("eval/deep/x", 1.0)]


def test_what_is_no_number_is_an_error() -> None:
    with pytest.raises((TypeError, ValueError)):
        list(arguments.numbers({"loss": "high"}))
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    with pytest.raises(TypeError):
        list(arguments.numbers(loop))


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

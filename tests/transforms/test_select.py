"""Filling a budget."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.transforms.select import choose, worth

MARKER = 7


def fill(values: list[float], sizes: list[int], budget: int) -> np.ndarray:
    size = np.array(sizes, np.int64)
    return choose(
        np.array(values, np.float32),
        size * 3,
        np.zeros(len(values), bool),
        lambda i: f"line {i}",
        lambda i: sizes[i],
        MARKER,
        budget,
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(1, 30)), min_size=1, max_size=40), st.integers(0, 200))
def test_lines_and_marks_stay_within_the_budget(lines: list[tuple[float, int]], budget: int) -> None:
    values, sizes = [value for value, _ in lines], [size for _, size in lines]
    chosen = fill(values, sizes, budget)
    gaps = int((np.diff(np.concatenate([[True], chosen, [True]]).astype(int)) == -1).sum())
    assert not chosen.any() or sum(np.array(sizes)[chosen]) + gaps * MARKER <= budget


def test_the_likeliest_come_first() -> None:
    assert fill([0, 5, 0, 0, 0, 4, 0], [10] * 7, 45).tolist() == [False, True, False, False, False, True, False]


def test_a_gap_that_costs_no_more_than_its_mark_is_shown() -> None:
    assert fill([5, -5, 5], [10, 2, 10], 41).all()


def test_a_text_is_taken_once() -> None:
    chosen = choose(
        np.zeros(5, np.float32), np.full(5, 9), np.zeros(5, bool), lambda _: "same", lambda _: 3, MARKER, 100
    )
    assert chosen.sum() == 1


def test_what_another_rank_said_is_worth_little_and_calm_lines_count_from_the_end() -> None:
    nth = np.arange(100)
    count = np.full(100, 100)
    copy = np.zeros(100, bool)
    copy[1] = True
    trouble = worth(np.zeros(100, np.float32), nth, count, copy, np.zeros(100, bool))
    calm = worth(np.zeros(100, np.float32), nth, count, ~copy & copy, np.ones(100, bool))
    assert trouble[0] == 0 > trouble[99] > trouble[1]
    assert calm[99] == 0 > calm[0]

"""Filling a budget."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.transforms.select import WIDER, choose, worth

MARKER = 7


def fill(
    values: list[float],
    sizes: list[int],
    budget: int,
    kinds: list[bytes] | None = None,
    blocks: list[int] | None = None,
    kept: list[int] | None = None,
) -> np.ndarray:
    size = np.array(sizes, np.int64)
    before = np.zeros(len(values), bool)
    before[kept or []] = True
    return choose(
        np.array(values, np.float32),
        size * 3,
        np.zeros(len(values), bool),
        np.arange(len(values)) if blocks is None else np.array(blocks, np.int64),
        (lambda i: b"") if kinds is None else lambda i: kinds[i],
        lambda i: f"line {i}",
        lambda i: sizes[i],
        MARKER,
        budget,
        before,
    )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.integers(1, 30), st.sampled_from([b"", b"a", b"b"]), st.integers(0, 3)),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 200),
)
def test_lines_and_marks_stay_within_the_budget(lines: list[tuple[float, int, bytes, int]], budget: int) -> None:
    values, sizes, kinds, blocks = (list(column) for column in zip(*lines, strict=True))
    chosen = fill(values, sizes, budget, kinds, blocks)
    assert (chosen == fill(values, sizes, budget, kinds, blocks)).all()
    gaps = int((np.diff(np.concatenate([[True], chosen, [True]]).astype(int)) == -1).sum())
    assert not chosen.any() or sum(np.array(sizes)[chosen]) + gaps * MARKER <= budget


def test_the_likeliest_come_first() -> None:
    assert fill([0, 5, 0, 0, 0, 4, 0], [10] * 7, 45).tolist() == [False, True, False, False, False, True, False]


def test_a_gap_that_costs_no_more_than_its_mark_is_shown() -> None:
    assert fill([5, -5, 5], [10, 2, 10], 41).all()


def test_a_text_is_taken_once() -> None:
    chosen = choose(
        np.zeros(5, np.float32),
        np.full(5, 9),
        np.zeros(5, bool),
        np.arange(5),
        lambda _: b"same",
        lambda _: "same",
        lambda _: 3,
        MARKER,
        100,
    )
    assert chosen.sum() == 1


def test_a_line_beside_a_chosen_one_is_worth_more() -> None:
    values, sizes = [-0.3, -0.5, 9.0, -0.5, -0.3] + [0.0] * 10, [10] * 15
    sizes[2] = WIDER
    assert np.flatnonzero(fill(values, sizes, sum(sizes[:4]) + 2 * MARKER)).tolist() == [0, 1, 2, 3]


def test_the_likeliest_of_a_small_budget_come_first_wherever_they_stand() -> None:
    values = [-0.3, -0.5, 9.0, -0.5, -0.3] + [0.0] * 10
    assert 1 not in np.flatnonzero(fill(values, [10] * 15, 40 + 4 * MARKER)).tolist()


def test_what_was_chosen_for_what_stands_beside_it_hands_on_no_more_than_it_is_worth_by_itself() -> None:
    """Else one strong line would draw in line after line."""
    values, sizes = [0.0] * 20 + [9.0] + [-1.5] * 12, [10] * 33
    sizes[20] = WIDER
    for i in range(0, 20, 2):
        values[i] = -9.0
    chosen = np.flatnonzero(fill(values, sizes, WIDER + 8 * 10 + 10 * MARKER))
    assert chosen.max() <= 20 + 4


def test_a_line_beside_one_that_was_kept_before_is_worth_more() -> None:
    values = [-9.0] * 20
    values[2], values[3], values[12] = 5.0, -0.5, 0.0
    assert np.flatnonzero(fill(values, [10] * 20, 10 + 2 * MARKER, kept=[2])).tolist() == [2, 3]


def test_of_many_lines_that_begin_alike_the_rest_give_way_to_others() -> None:
    """Ten lines with a finding each, and a few of other kinds that are a little less likely."""
    values = [1.0, -9, -9, -9, -9, -9] * 10 + [0.5, -9, -9, -9, -9, -9] * 4
    kinds = [b"skip test"] * 60 + [b"other %d" % i for i in range(24)]
    budget = 8 * 10 + 9 * MARKER
    alone = np.flatnonzero(fill(values, [10] * 84, budget))
    assert (alone < 60).sum() == 8
    chosen = np.flatnonzero(fill(values, [10] * 84, budget, kinds))
    assert (chosen < 60).sum() == 4
    assert (chosen >= 60).sum() == 4


def test_lines_of_one_block_may_begin_alike() -> None:
    values = [1.0] * 8 + [-9.0] * 8 + [0.9]
    kinds = [b"frame"] * 17
    chosen = fill(values, [10] * 17, 8 * 10 + 2 * MARKER, kinds, [0] * 8 + list(range(8, 17)))
    assert np.flatnonzero(chosen).tolist() == list(range(8))


def test_what_another_rank_said_is_worth_little_and_calm_lines_count_from_the_end() -> None:
    nth = np.arange(100)
    count = np.full(100, 100)
    copy = np.zeros(100, bool)
    copy[1] = True
    none, zero = np.zeros(100, bool), np.zeros(100, np.float32)
    trouble = worth(zero, nth, count, copy, none, none)
    calm = worth(zero, nth, count, none, ~none, none)
    frames = worth(zero, nth, count, none, none, ~none)
    assert trouble[0] == 0 > trouble[30] > trouble[1]
    assert calm[99] == 0 > calm[0]
    assert 0 > frames[99] > trouble[99]

"""The local runner's decisions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow.pipelines.plan import State, next_limit, share
from tracewinnow.schemas.errors import TracewinnowError

partitions = st.tuples(st.text(max_size=3), st.integers(0, 9))


@given(st.dictionaries(partitions, st.integers(1, 10_000), max_size=8), st.integers(0, 20_000))
def test_share_takes_what_it_may(waiting: dict[tuple[str, int], int], limit: int) -> None:
    taken = share(waiting, limit)
    assert all(0 <= taken[p] <= waiting[p] for p in waiting)
    assert sum(taken.values()) <= limit
    # Nothing is left lying for want of fairness: less than one record a partition.
    assert sum(taken.values()) >= min(sum(waiting.values()), limit) - len(waiting)


def test_share_is_fair() -> None:
    assert share({("a", 0): 10, ("a", 1): 1000, ("a", 2): 1000}, 210) == {("a", 0): 10, ("a", 1): 100, ("a", 2): 100}


@given(st.dictionaries(st.tuples(st.text(max_size=5), st.integers(0, 2**62)), st.booleans()), st.integers(0, 2**62))
def test_state_survives_the_disk(pending: dict[tuple[str, int], bool], watermark: int) -> None:
    state = State("c", 60, 3, {("t", 1): 5}, [("t", 1, 5, 9)], pending, watermark, 2, "me", "process 7")
    assert State.from_json(state.to_json()) == state


def test_a_state_without_an_owner_is_read() -> None:
    old = json.loads(State("c", 60, 3).to_json())
    del old["owner"], old["who"]
    state = State.from_json(json.dumps(old).encode())
    assert state == State("c", 60, 3)
    assert state.folder == "state/fired/000000000003"


@pytest.mark.parametrize("damaged", [b"", b"{}", b"[1]", b'{"format": 99}', b'{"format": 1, "cluster": 3}'])
def test_a_damaged_state_is_said(damaged: bytes) -> None:
    with pytest.raises(TracewinnowError, match="state"):
        State.from_json(damaged)


def test_due_windows() -> None:
    state = State(window_ns=10, watermark_ns=25)
    state.add(("late", 0), False)
    state.add(("over", 15), False)
    state.add(("open", 16), False)
    state.add(("crashed", 20), True)
    state.add(("crashed", 20), False)  # more of it does not take the haste away
    assert state.due() == [("crashed", 20), ("late", 0), ("over", 15)]


def test_next_limit_grows_and_shrinks_within_bounds() -> None:
    assert next_limit(10_000, 10_000, 10**7, 0.1) == 20_000
    assert next_limit(100_000, 100_000, 10**8, 100.0) == 25_000
    assert next_limit(1000, 10, 10**4, 0.1) == 1000  # it was not full: nothing was learnt
    assert next_limit(1000, 1000, 1000 << 20, 1.0) == 64  # records of 1 MiB
    assert next_limit(10, 10, 10 << 20, 100.0) == 8  # however slow: small runs are slower
    assert next_limit(1, 1, 1 << 30, 1.0) == 1

"""Holes in the sequence of a process, and what is known of their causes."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.serving.holes import DAMAGED, NEVER_CAME, NOT_BUILT, REFUSED, Hole, find_holes, told_apart


@settings(deadline=None)
@given(st.sets(st.integers(0, 40), min_size=1), st.randoms())
def test_holes_are_what_is_missing_below_the_last(came: set[int], random: object) -> None:
    runs = [list(group) for _, group in itertools.groupby(sorted(came), key=lambda n: n - sorted(came).index(n))]
    ranges = [("p", 0, run[0], run[-1]) for run in runs]
    random.shuffle(ranges)  # type: ignore[attr-defined]
    missing = {n for hole in find_holes(ranges) for n in range(hole.first, hole.last + 1)}
    assert missing == set(range(max(came))) - came


def test_a_process_that_tells_its_rank_late_has_no_hole() -> None:
    assert find_holes([("p", 0, 0, 1), ("p", -1, 2, 2), ("p", 0, 3, 3)]) == []
    assert find_holes([("p", -1, 0, 0), ("p", 3, 4, 4)]) == [Hole("p", 3, 1, 3)]


def test_a_hole_is_cut_by_what_is_known_of_its_batches() -> None:
    known = {
        ("p", 3): REFUSED + "bad-vector",
        ("p", 4): REFUSED + "bad-vector",
        ("p", 6): NOT_BUILT,
        ("q", 2): NOT_BUILT,
    }
    told = list(told_apart([Hole("p", 0, 2, 2**63 - 2), Hole("p", 0, 0, 0, DAMAGED)], known, NEVER_CAME))
    assert [(hole.first, hole.last, hole.cause) for hole in told] == [
        (2, 2, NEVER_CAME),
        (3, 4, "refused as bad-vector"),
        (5, 5, NEVER_CAME),
        (6, 6, NOT_BUILT),
        (7, 2**63 - 2, NEVER_CAME),
        (0, 0, DAMAGED),
    ]


def test_what_is_said_of_each_cause() -> None:
    causes = ("", NEVER_CAME, NOT_BUILT, DAMAGED, REFUSED + "bad-vector")
    assert [str(Hole("p" * 32, 1, 5, 5, cause)) for cause in causes] == [
        "batch 5 of rank 1 (pppppppp) is not in what was built",
        "batch 5 of rank 1 (pppppppp) never came",
        "batch 5 of rank 1 (pppppppp) is archived but not in what was built",
        "batch 5 of rank 1 (pppppppp) is not in what was built, perhaps in a damaged object of the archive",
        "batch 5 of rank 1 (pppppppp) was refused as bad-vector",
    ]
    assert str(Hole("p" * 32, -1, 5, 6, REFUSED + "bad-vector")) == (
        "batches 5 to 6 of a process without rank (pppppppp) were refused as bad-vector"
    )

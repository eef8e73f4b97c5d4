"""Who fell silent first."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.transforms.silence import last_words

TURNS = [0, 1, 2, 3] * 20


@pytest.mark.parametrize(
    ("ranks", "found"),
    [
        ([], []),
        ([-1] * 9, []),
        (TURNS, []),  # all end together
        (TURNS + [0, 1, 2] * 5, [79]),
        (TURNS + [0, 1, 2] * 2, []),  # too soon to tell
        (TURNS + [0, 1] * 5, []),  # half of them
        ([*TURNS, *[0] * 50], []),  # rank 0 alone reports
        ([0, 1] * 9 + [0] * 9, []),  # of two none is special
        ([3, *[0, 1, 2] * 20], []),  # it never said much
        ([*TURNS, -1, -1, *[2, 1, 0] * 5], [79]),
    ],
)
def test_last_words(ranks: list[int], found: list[int]) -> None:
    assert last_words(np.array(ranks, np.int32)).tolist() == found


def test_more_than_one() -> None:
    ranks = list(range(8)) * 5 + [r for r in range(8) if r != 3] * 5 + [r for r in range(8) if r not in (3, 6)] * 5
    assert [ranks[line] for line in last_words(np.array(ranks, np.int32)).tolist()] == [3, 6]

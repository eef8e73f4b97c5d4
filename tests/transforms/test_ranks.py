"""Which rank or replica printed a line."""

from __future__ import annotations

import pytest

from tracewinnow.transforms import ranks


@pytest.mark.parametrize(
    ("line", "rank"),
    [("[rank7]: x", 7), ("[default0]:x", 0), ("[1,12]<stdout>: x", 12), ("3: x", 3), ("x 3: y", -1), ("", -1)],
)
def test_ranks(line: str, rank: int) -> None:
    assert ranks.ranks_of([line]) == [rank]


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (["[rank1]: a", "b", "[rank0]: c", "   3: frame"], [1, -1, 0, -1]),
        (["   0: main", "   1: start", "x", "y", "z"], [-1] * 5),  # frames of a backtrace
        (["0: a", "1: b", " 2: c", ""], [0, 1, 2, -1]),
        (["[0] a", "[1] b"], [0, 1]),
        (["[0]:", "  rank : 3"], [-1, -1]),
        ([f"[{step:04}] loss 1.0" for step in range(30)], [-1] * 30),  # steps
        ([f"{rank}: ready" for _ in range(3) for rank in range(20)], [*range(20)] * 3),
        ([], []),
    ],
)
def test_a_bare_number_is_a_rank_where_most_lines_have_one(shown: list[str], found: list[int]) -> None:
    assert ranks.ranks_of(shown) == found


@pytest.mark.parametrize(
    ("shown", "replicas"),
    [
        (["web-1  | a", "web-2  | b", "web-1  |"], [0, 1, 0]),
        (["[pod/a/main] x", "[pod/b/main] y", ""], [0, 1, -1]),
        (["(Worker pid=4) x", "(Worker pid=5, ip=10.0.0.1) y"], [0, 1]),
        (["table-1 | x", "a", "b"], [-1, -1, -1]),
    ],
)
def test_replicas_are_told_apart_by_name(shown: list[str], replicas: list[int]) -> None:
    assert ranks.replicas_of(shown) == replicas


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("2026-11-22 13:55:10,033 [rank{}] INFO: step {}", True),
        ("2026-11-22 13:56:09,508 [{}/4] I step {}", True),
        ("2026-11-22 14:08:36,417 INFO rank {} iter {} loss 0.94", True),
        ("2026-11-22 14:08:36,417 INFO local_rank {} iter {} loss 0.94", False),
        ("2026-11-22 14:08:36,417 INFO a message that goes on and on before it tells at last of rank {} at {}", False),
    ],
)
def test_ranks_behind_a_time_stamp(shape: str, expected: bool) -> None:
    shown = [shape.format(i % 4, i // 4) for i in range(40)]
    found = ranks.ranks_of(["starting", *shown, ""])
    assert found == ([-1, *(i % 4 for i in range(40)), -1] if expected else [-1] * 42)


def test_a_count_that_goes_up_is_no_rank() -> None:
    assert set(ranks.ranks_of([f"12:00:0{i % 10} [{i}/40] compiling" for i in range(40)])) == {-1}
    assert set(ranks.ranks_of([f"12:00:0{i % 10} [{i % 5}/{i}] compiling" for i in range(40)])) == {-1}
    assert set(ranks.ranks_of([f"12:00:0{i % 10} rank 3 said {i}" for i in range(40)])) == {-1}

"""What one rank says otherwise than all others is found, and what differs by nature is not."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.transforms import odd_ranks
from tracewinnow.transforms.reading import read
from tracewinnow.transforms.winnow import winnow


def job(ranks: int, batches: dict[int, int], steps: int = 40) -> list[str]:
    """A log of ranks that hold 220 batches each, but for some."""
    lines = []
    for rank in range(ranks):
        lines += [
            f"[rank{rank}] 2026-01-02 10:00:0{rank},397 INFO pid {4100 + 7 * rank} listens on port {29500 + rank}",
            f"[rank{rank}] 2026-01-02 10:00:0{rank},401 INFO rank {rank} of {ranks}, {3 + rank / 7:.4f} s to load",
            f"[rank{rank}] 2026-01-02 10:00:0{rank},400 INFO shard {rank} holds {batches.get(rank, 220)} batches of 32",
            f"[rank{rank}] 2026-01-02 10:00:0{rank},402 INFO 24 layers, 1048576 parameters",
        ]
    for step in range(steps):
        clock = f"10:{1 + step // 60:02}:{step % 60:02}"
        lines += [
            f"[rank{rank}] 2026-01-02 {clock},500 INFO step {step} loss {2 + (step * 7 + rank) % 10 / 10}"
            for rank in range(ranks)
        ]
    return lines


def found(lines: list[str]) -> list[str]:
    return [lines[line].split("INFO ")[1] for line in odd_ranks.odd(read(lines)).tolist()]


def test_the_rank_that_has_fewer_is_found() -> None:
    assert found(job(8, {5: 203})) == ["shard 5 holds 203 batches of 32"]


def test_of_two_ranks_both_are_told() -> None:
    assert found(job(2, {1: 203})) == ["shard 0 holds 220 batches of 32", "shard 1 holds 203 batches of 32"]


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_ranks_alike_have_nothing_odd(ranks: int) -> None:
    assert found(job(ranks, {})) == []


def test_what_differs_in_many_ranks_is_not_odd() -> None:
    assert found(job(8, {1: 203, 5: 204})) == []
    assert found(job(8, {rank: 200 + rank for rank in range(8)})) == []


def test_lines_without_ranks_are_left_alone() -> None:
    lines = [f"worker says {n % 3}" for n in range(50)]
    value = np.full(50, -5, np.float32)
    assert odd_ranks.raised(value, read(lines)) is value


def test_it_stands_in_a_small_answer() -> None:
    lines = [*job(8, {5: 203}, 300), "[rank0] RuntimeError: collective timed out, rank 5 did not join"]
    assert "shard 5 holds 203 batches" in winnow("\n".join(lines), 300).text

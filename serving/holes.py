"""What is missing of a job: batches that never came, and stored traces that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Hole:
    """Batches [first, last] of a process that never came, between others that did."""

    process_uuid: str
    rank: int  # -1 where unknown
    first: int
    last: int

    def __str__(self) -> str:
        who = f"rank {self.rank}" if self.rank >= 0 else "a process without rank"
        batches = f"batch {self.first}" if self.first == self.last else f"batches {self.first} to {self.last}"
        return f"{batches} of {who} ({self.process_uuid[:8]}) never came"


class Unread(NamedTuple):
    """A stored trace that cannot be read: its window and part, and why, with what makes it again."""

    start_ns: int
    part: int
    why: str


def find_holes(ranges: Iterable[tuple[str, int, int, int]]) -> list[Hole]:
    """Missing batches of each process. ranges: (process_uuid, rank or -1, first, last), in any order, may overlap.

    Sequences start at 0; what is missing after the last that came cannot be known.
    """
    holes: list[Hole] = []
    process, rank, expected = "", -1, 0
    for uuid, of, first, last in sorted(ranges):
        if uuid != process:
            process, expected = uuid, 0
        rank = of
        if first > expected:
            holes.append(Hole(uuid, rank, expected, first - 1))
        expected = max(expected, last + 1)
    return holes

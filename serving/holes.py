"""What is missing of a job: batches that no trace holds, and windows that an answer cannot tell of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tracewinnow.serving.text import window_name

Batch = tuple[str, int]  # process_uuid, sequence

NEVER_CAME = "never came"
NOT_BUILT = "archived, not built"
DAMAGED = "perhaps damaged"
REFUSED = "refused as "  # and the code of the dead letter


@dataclass(frozen=True, slots=True)
class Hole:
    """Batches [first, last] of a process that are in no trace, though others of it are that were sent later.

    cause: one of the above, or "" where it is not known.
    """

    process_uuid: str
    rank: int  # -1 where unknown
    first: int
    last: int
    cause: str = ""

    def __str__(self) -> str:
        who = f"rank {self.rank}" if self.rank >= 0 else "a process without rank"
        one = self.first == self.last
        batches = f"batch {self.first}" if one else f"batches {self.first} to {self.last}"
        are, were = ("is", "was") if one else ("are", "were")
        if self.cause == NEVER_CAME:
            happened = NEVER_CAME
        elif self.cause == NOT_BUILT:
            happened = f"{are} archived but not in what was built"
        elif self.cause == DAMAGED:
            happened = f"{are} not in what was built, perhaps in a damaged object of the archive"
        elif self.cause:
            happened = f"{were} {self.cause}"
        else:
            happened = f"{are} not in what was built"
        return f"{batches} of {who} ({self.process_uuid[:8]}) {happened}"


@dataclass(frozen=True, slots=True)
class Lack:
    """A window of which an answer lacks something that was archived. part: -1 for the window as a whole.

    what: in words that follow its name. why: why, and what to do.
    """

    start_ns: int
    part: int
    what: str
    why: str

    def __str__(self) -> str:
        part = f", part {self.part}," if self.part > 0 else ""
        return f"window {window_name(self.start_ns)}{part} {self.what}"


def find_holes(ranges: Iterable[tuple[str, int, int, int]]) -> list[Hole]:
    """Missing batches of each process. ranges: (process_uuid, rank or -1, first, last), in any order, may overlap.

    Sequences start at 0; what is missing after the last that came cannot be known. A process may tell its rank late.
    """
    processes: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for uuid, rank, first, last in ranges:
        processes[uuid].append((first, last, rank))
    holes: list[Hole] = []
    for uuid, came in sorted(processes.items()):
        rank, expected = max(rank for _, _, rank in came), 0
        for first, last, _ in sorted(came):
            if first > expected:
                holes.append(Hole(uuid, rank, expected, first - 1))
            expected = max(expected, last + 1)
    return holes


def told_apart(holes: Iterable[Hole], known: Mapping[Batch, str], others: str) -> Iterator[Hole]:
    """The holes whose cause is not known, cut by what is: known has the cause of some batches, `others` is that of the rest."""
    causes: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for (uuid, sequence), cause in sorted(known.items()):
        causes[uuid].append((sequence, cause))
    for hole in holes:
        if hole.cause:
            yield hole
            continue
        at, runs = hole.first, []
        for sequence, cause in causes[hole.process_uuid]:
            if not hole.first <= sequence <= hole.last:
                continue
            if sequence > at:
                runs.append((at, sequence - 1, others))
            if runs and runs[-1][1:] == (sequence - 1, cause):
                runs.append((runs.pop()[0], sequence, cause))
            else:
                runs.append((sequence, sequence, cause))
            at = sequence + 1
        if at <= hole.last:
            runs.append((at, hole.last, others))
        for first, last, cause in runs:
            yield replace(hole, first=first, last=last, cause=cause)

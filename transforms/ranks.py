"""Which rank printed a line, or which replica: what launchers and loggers set before it tells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

RANK = re.compile(
    r"\s*(?:\[(?:rank ?|default|RANK ?)(\d{1,5})\]|\[\d{1,5},(\d{1,5})\]<std|(\d{1,5}): |\[(\d{1,5})\](?::? |:?[^\s:]))"
)
SURE = 2  # groups of it that tell a rank beyond doubt; the others may be the number of a frame or in a list
STEPS = 8  # distinct bare numbers
INSIDE = re.compile(r".{0,60}?(?:\b(?:rank|RANK|Rank)[ =:]?(\d{1,5})\b|\[(\d{1,5})/(\d{1,5})\])")
PROBED = 300  # lines of a log, about, that tell whether it is worth looking for such ranks
FALLS = 20  # of so many numbers one is lower than the one before, at least, where they are ranks
# The replica that a line came from, where it has a name and no rank.
REPLICA = re.compile(
    r"\[pod/[^\]\s]{1,200}\]|\([A-Za-z_]\w* (?:pid|ip)=[^)\n]{1,60}\)|[A-Za-z][\w./-]{0,100}[-_]\d{1,5} +\|(?= |$)"
)


def ranks_of(shown: Sequence[str]) -> list[int]:
    """Rank that a launcher wrote before each line, -1 where none.

    A bare number is a rank if most lines have one, and a step if there are many that never fall. Where few lines begin with a rank,
    one that stands further in, behind a time stamp or a level, is looked for.
    """
    found = [RANK.match(line) for line in shown]
    bare = [int(match[match.lastindex]) for match in found if match and match.lastindex and match.lastindex > SURE]
    steps = len(set(bare)) > STEPS and all(one <= after for one, after in pairwise(bare))
    told = sum(map(bool, shown))
    least = SURE if steps or 2 * len(bare) <= told else RANK.groups
    ranks = [
        int(match[match.lastindex]) if match and match.lastindex and match.lastindex <= least else -1 for match in found
    ]
    return ranks if 2 * sum(rank >= 0 for rank in ranks) > told else ranks_inside(shown, ranks, told)


def ranks_inside(shown: Sequence[str], ranks: list[int], told: int) -> list[int]:
    """The ranks, and for lines without one that which stands further in (INSIDE), if most lines have one.

    told: lines that are not blank. `[2/8]` is a rank only where all are of the same number, and not a count that goes up.
    """
    sample = [line for line in shown[:: max(1, len(shown) // PROBED)] if line]
    if 3 * sum(INSIDE.match(line) is not None for line in sample) < len(sample):
        return ranks
    found = [None if rank >= 0 else INSIDE.match(line) for rank, line in zip(ranks, shown, strict=True)]
    parts = [(int(match[2]), int(match[3])) for match in found if match and match[2]]
    falls = sum(one[0] > after[0] for one, after in pairwise(parts))
    counted = len({of for _, of in parts}) != 1 or max(parts)[0] >= parts[0][1] or falls * FALLS < len(parts)
    inside = [
        int(match[1] or match[2]) if match and (match[1] or not counted) else rank
        for match, rank in zip(found, ranks, strict=True)
    ]
    return inside if 2 * sum(rank >= 0 for rank in inside) > told and len(set(inside) - {-1}) > 1 else ranks


def replicas_of(shown: Sequence[str]) -> list[int]:
    """A number for the replica (pod, container, actor) named before each line, -1 where none; all -1 if half have none."""
    found = [match[0] if (match := REPLICA.match(line)) else "" for line in shown]
    names = {name: number for number, name in enumerate(dict.fromkeys(filter(None, found)))}
    many = sum(map(bool, found))
    return [names.get(name, -1) for name in found] if 2 * many >= sum(map(bool, shown)) else [-1] * len(shown)

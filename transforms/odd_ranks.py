"""Lines of a rank that says another number than the others say in the same place: fewer rows, another file, another setting.

Ranks of one job mostly do the same. Where nearly all of them say a thing a few times and one says it with another number, that is
seldom an error by its words, and often why the job hangs or learns nothing. What differs from rank to rank by nature (its own
number, times, addresses, losses) differs in all of them; of two ranks nobody can tell which is odd, so both lines count, and whole
numbers alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms import lines as text_lines
from tracewinnow.transforms.reading import Reading
from tracewinnow.transforms.score import Floats
from tracewinnow.transforms.words import bits_of

SHARE = 0.75  # of the ranks that say it, at least,
EACH = 3  # times each, at most
LOOKED_AT = 2000  # lines, the first
MOST = 12  # odd lines of a trace: with more of them they are nothing odd
GAIN, UP_TO = 6.0, 0.0  # log-odds; what surely tells of trouble stands above
LONGEST = 8  # digits of a whole number: longer ones are times and addresses
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d{1,6})?(?![\w.]|-\d|:\d)")
ITS_OWN = re.compile(r"\b(?:pid|tid|port|seed|time|ts)\b[\"']?\s{0,4}[=: (]\s{0,4}[-+]?[\d.]+", re.I)
PARTS = bits_of("frame", "caret", "code", "blank", "rule")


def raised(value: Floats, reading: Reading) -> Floats:
    """What each line is worth, those of odd ranks more: float32[n]. value: float32[n], log-odds."""
    found = odd(reading)
    if not len(found):
        return value
    worth: Floats = value.copy()
    worth[found] = np.maximum(worth[found], np.minimum(worth[found] + np.float32(GAIN), np.float32(UP_TO)))
    return worth


def odd(reading: Reading) -> npt.NDArray[np.int64]:
    """The odd lines, ascending; of two ranks none where they differ in more than they agree on."""
    told, agreed, differ = set[int](), 0, 0
    for ranks, lines in together(reading):
        rows = [numbers(reading.shown[line]) for line in lines]
        if len({len(row) for row in rows}) > 1:
            continue
        some = {at for column in zip(*rows, strict=True) for at in strange(column, ranks)}
        same = all(len(set(column)) == 1 or names_ranks(column, ranks) for column in zip(*rows, strict=True))
        if len(ranks) == 2:
            agreed, differ = agreed + same, differ + (not same)
        told.update(lines[at] for at in some)
    usual = len(told) > MOST or differ > agreed
    return np.array([] if usual else sorted(told), np.int64)


def together(reading: Reading) -> list[tuple[list[int], list[int]]]:
    """(ranks, their lines) of what nearly all ranks say EACH times at most: the first time of each, the second, ..."""
    rank, template = reading.view.rank, reading.view.template
    lines = np.flatnonzero((rank >= 0) & ((reading.view.bits & PARTS) == 0))
    ranks = np.unique(rank[lines])
    if len(ranks) < 2:
        return []
    each = int(ranks[-1]) + 1
    said = np.unique(template[lines] * each + rank[lines])
    by = np.bincount(said // each, minlength=len(reading.templates))  # how many ranks say it
    count = np.bincount(template[lines], minlength=len(reading.templates))
    fit = (by >= max(2, SHARE * len(ranks))) & (count <= EACH * by)
    lines = lines[fit[template[lines]]][:LOOKED_AT]
    found: dict[tuple[int, int], list[int]] = {}
    seen = Counter[tuple[int, int]]()
    for line in lines.tolist():
        who = (int(template[line]), int(rank[line]))
        found.setdefault((who[0], seen[who]), []).append(line)
        seen[who] += 1
    return [([int(rank[line]) for line in some], some) for some in found.values() if len(some) >= 2]


def numbers(shown: str) -> list[str]:
    """The numbers of a line, without its time stamp and what is each process's own."""
    (line,) = text_lines.judged([shown])
    return NUMBER.findall(ITS_OWN.sub("", line))


def names_ranks(column: Sequence[str], ranks: Sequence[int]) -> bool:
    """Whether the number that each rank says is its own."""
    return all(number.isdigit() and int(number) == rank for number, rank in zip(column, ranks, strict=True))


def strange(column: Sequence[str], ranks: Sequence[int]) -> list[int]:
    """Places of the numbers that differ from those of all others; of two that differ, if they are whole, both."""
    (usual, most), *others = Counter(column).most_common()
    if not others or names_ranks(column, ranks):
        return []
    if len(column) == 2:
        whole = all("." not in number and len(number.lstrip("+-")) <= LONGEST for number in column)
        return [0, 1] if whole else []
    return [at for at, number in enumerate(column) if number != usual] if most == len(column) - 1 else []

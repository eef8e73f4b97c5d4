"""How likely it is that a person would quote a line to explain the failure: a linear model over signals and surroundings.

score = own + surroundings, as log-odds. `own` is what the line says by itself (signals.py); its surroundings are how strong the
lines near it and in its block are, how near it stands before a command that ended badly, where it stands in the log, and how rare
and how new its template is. The weights were fitted by logistic regression with a prior, on failed builds and jobs in which the
cause was marked and on healthy job logs with generated failures, checked on sources that were left out, and rounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms.signals import COUNTED
from tracewinnow.transforms.weights import OWN, SURROUNDED
from tracewinnow.transforms.words import NAMES, bits_of

Floats = npt.NDArray[np.float32]
ALONE = 1 << 18  # multiplications of a product that OpenBLAS never shares among threads


@dataclass(slots=True)
class View:
    """What the score sees of a trace; all arrays have one entry a line.

    bits: uint64, signals. template: int64, number of the line's template. block: int64. rank: int32, -1 where unknown.
    """

    bits: npt.NDArray[np.uint64]
    template: npt.NDArray[np.int64]
    block: npt.NDArray[np.int64]
    rank: npt.NDArray[np.int32]


def product(table: Floats, weights: Floats) -> Floats:
    """table @ weights, the same to the last bit however many threads BLAS has: float32[n, k], float32[k, m] -> float32[n, m].

    Of so few rows at a time that no threads share them: shared, the same line had other sums than in a process that has one thread.
    """
    n, (k, m) = len(table), weights.shape
    rows = max(1, ALONE // (k * m))
    whole = n // rows * rows
    found = np.empty((n, m), np.float32)
    if whole:
        np.matmul(table[:whole].reshape(-1, rows, k), weights, out=found[:whole].reshape(-1, rows, m))
    if whole < n:
        np.matmul(table[whole:], weights, out=found[whole:])
    return found


def signal_matrix(bits: npt.NDArray[np.uint64]) -> Floats:
    """uint64[n] -> float32[n, signals], 0 or 1."""
    shifts = np.arange(len(NAMES), dtype=np.uint64)
    return np.asarray((bits[:, None] >> shifts) & np.uint64(1), np.float32)


def place_features(view: View) -> dict[str, Floats]:
    """Rarity and place of each line: float32[n] each."""
    n = len(view.bits)
    count = np.bincount(view.template)[view.template]
    new = np.zeros(n, np.float32)
    new[first_lines(view.template)] = 1
    at = np.arange(n, dtype=np.float32)
    return {
        "rarity": (1 / np.sqrt(count)).astype(np.float32),
        "frequency": (np.log1p(count) / 5).astype(np.float32),
        "new": new,
        "new_late": new * at / np.float32(max(1, n - 1)),
        "late": at / np.float32(max(1, n - 1)),
        "last": (1 / np.sqrt(n - at)).astype(np.float32),
    }


def first_lines(template: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """First line of each template; templates are numbered in the order in which they come."""
    return np.flatnonzero(np.diff(np.maximum.accumulate(template), prepend=-1))


def surroundings(view: View, own: Floats) -> dict[str, Floats]:
    """Features of a line's neighbours. own: float32[n], log-odds of each line by itself."""
    n = len(own)
    blank = (view.bits & bits_of("blank")) != 0
    strength = np.where(blank, 0, 1 / (1 + np.exp(-own))).astype(np.float32)
    found: dict[str, Floats] = {}
    for reach in (1, 4, 16):
        found[f"before_{reach}"] = nearby(strength, reach, ahead=False)
        found[f"after_{reach}"] = nearby(strength, reach, ahead=True)
    total = np.concatenate([[0], np.cumsum(strength, dtype=np.float64)])
    at = np.arange(n)
    for reach in (8, 30):
        low, high = np.maximum(0, at - reach), np.minimum(n, at + reach + 1)
        found[f"mean_{reach}"] = ((total[high] - total[low]) / (high - low)).astype(np.float32)
    found["relative"] = strength / max(float(strength.max(initial=0)), 1e-9)
    found["block"] = block_largest(view.block, strength)
    bad = np.flatnonzero(((view.bits & bits_of("exit")) != 0) & ((view.bits & bits_of("none")) == 0))
    # Distance in lines that say something new: what eight ranks print alike must not push the cause away.
    said = repeats(view).nth
    place = np.cumsum(1 / (1 + said)).astype(np.float32)
    until, since, first = (np.full(n, np.inf, np.float32) for _ in range(3))
    if len(bad):
        following = np.searchsorted(bad, at)
        has = following < len(bad)
        until[has] = place[bad[following[has]]] - place[has]
        has = following > 0
        since[has] = place[has] - place[bad[following[has] - 1]]
        first[: bad[0] + 1] = place[bad[0]] - place[: bad[0] + 1]
    for reach in (3, 10, 30, 100):
        found[f"until_exit_{reach}"] = np.exp(-until / reach)
        found[f"since_exit_{reach}"] = np.exp(-since / reach)
        found[f"first_exit_{reach}"] = np.exp(-first / reach)
    found["after_exit"] = (at > (bad[0] if len(bad) else n)).astype(np.float32)
    return found


def block_largest(block: npt.NDArray[np.int64], values: Floats) -> Floats:
    """Largest of the block around each line: float32[n]."""
    found = np.empty_like(values)
    if len(values):
        order, starts = sorted_groups(block)
        found[order] = np.repeat(np.maximum.reduceat(values[order], starts[:-1]), np.diff(starts))
    return found


def nearby(strength: Floats, reach: int, ahead: bool) -> Floats:
    """Largest of the next (or last) `reach` lines, the line itself left out; by doubling, so in log2(reach) passes."""
    n = len(strength)
    found = np.zeros(n, np.float32)
    if n > 1:
        found[slice(None, -1) if ahead else slice(1, None)] = strength[slice(1, None) if ahead else slice(None, -1)]
    have = 1
    while have < min(reach, n):
        step = min(have, reach - have)
        moved = np.zeros(n, np.float32)
        if step < n:
            if ahead:
                moved[:-step] = found[step:]
            else:
                moved[step:] = found[:-step]
        found = np.maximum(found, moved)
        have += step
    return found


@dataclass(slots=True)
class Repeats:
    """Lines that say the same, in groups. Two lines say the same if their templates agree, what they count (nothing, or something:
    an exit code of 0 is not one of 137), and both of the block around them.

    group: int64[n], group of each line. nth: int64[n], how often it was said before. copy: bool[n], another rank said it before.
    order, starts: lines of group g are order[starts[g]:starts[g + 1]], ascending.
    """

    group: npt.NDArray[np.int64]
    nth: npt.NDArray[np.int64]
    copy: npt.NDArray[np.bool_]
    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @property
    def count(self) -> npt.NDArray[np.int64]:
        """How many lines say what each says, itself included: int64[n]."""
        return np.asarray(np.diff(self.starts)[self.group], np.int64)

    def members(self, line: int) -> npt.NDArray[np.int64]:
        """The lines that say what this one says, itself included."""
        g = self.group[line]
        return self.order[self.starts[g] : self.starts[g + 1]]


def repeats(view: View) -> Repeats:
    """Group the lines that say the same."""
    n = len(view.template)
    if n == 0:
        none = np.zeros(0, np.int64)
        return Repeats(none, none, np.zeros(0, bool), none, np.zeros(1, np.int64))
    mixed = (view.template.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed += (view.bits & np.uint64(COUNTED)) * np.uint64(0xD6E8FEB86659FD93)
    order, starts = sorted_groups(view.block)
    around = np.empty(n, np.uint64)
    around[order] = np.repeat(np.add.reduceat(mixed[order], starts[:-1]), np.diff(starts))
    order, starts = sorted_groups(mixed ^ (around * np.uint64(0xC2B2AE3D27D4EB4F)))
    sizes = np.diff(starts)
    group, nth, first = (np.empty(n, np.int64) for _ in range(3))
    group[order] = np.repeat(np.arange(len(sizes)), sizes)
    nth[order] = np.arange(n) - np.repeat(starts[:-1], sizes)
    first[order] = np.repeat(order[starts[:-1]], sizes)
    copy = (view.rank >= 0) & (view.rank != view.rank[first])
    return Repeats(group, nth, copy, order, starts)


def sorted_groups(
    key: npt.NDArray[np.uint64] | npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices sorted by key, stable, and where each run of equal keys starts, the length at the end."""
    order = np.argsort(key, kind="stable")
    changes = np.flatnonzero(key[order][1:] != key[order][:-1]) + 1
    return order, np.concatenate([[0], changes, [len(key)]])


def own_score(bits: npt.NDArray[np.uint64], places: dict[str, Floats], weights: dict[str, float]) -> Floats:
    """Weighted sum of a line's signals and of the features named in `places`: float32[n]."""
    order, starts = sorted_groups(bits)
    kinds = bits[order[starts[:-1]]]  # some hundreds, however long the log
    which = np.empty(len(bits), np.int64)
    which[order] = np.repeat(np.arange(len(kinds)), np.diff(starts))
    vector = np.array([weights.get(name, 0.0) for name in NAMES], np.float32)
    total = (product(signal_matrix(kinds), vector[:, None])[:, 0] + np.float32(weights["constant"]))[which]
    for name, values in places.items():
        if weights.get(name):
            total += np.float32(weights[name]) * values
    return np.asarray(total, np.float32)


def score(view: View) -> Floats:
    """Log-odds of each line to be evidence: float32[n]. Repeats are not judged here, see `repeats`."""
    if not len(view.bits):
        return np.zeros(0, np.float32)
    places = place_features(view)
    own = own_score(view.bits, places, OWN)
    return own_score(view.bits, {**places, **surroundings(view, own)}, SURROUNDED)

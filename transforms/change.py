"""What happened to a series: where it jumped, from where on it was not finite, whether it grew unlike its siblings."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms.trace import Series

JUMP = 8.0  # a change is a jump when it is this many times the median change before it,
WARM = 8  # once that many changes were seen,
LEAST = 0.5  # and when it moves the value by at least this share
ODD = 1.0  # a member is unlike the rest when its growth differs from theirs by this share


def jumps(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Places at which a finite series jumps: int64[k], ascending.

    A jump moves the value by at least LEAST of what it was, and JUMP times the median change of up to 64 steps before it.
    """
    if len(values) < WARM + 2:
        return np.zeros(0, np.int64)
    with np.errstate(all="ignore"):
        change = np.abs(np.diff(values))
        big = change >= LEAST * np.maximum(np.abs(values[:-1]), 1e-12)
    found = []
    for place in np.flatnonzero(big[WARM:]) + WARM:  # few: the test above is strict
        usual = np.median(change[max(0, place - 64) : place])
        if change[place] / JUMP > usual:
            found.append(place + 1)
        if len(found) >= 1000:
            break
    return np.array(found, np.int64)


@dataclass(slots=True)
class Told:
    """What there is to say about one series."""

    series: Series
    bad: int  # index of the first value that is not finite, or -1
    bad_count: int
    jumped: npt.NDArray[np.int64]
    constant: bool


def tell(series: Series) -> Told:
    """Look at one series."""
    finite = np.isfinite(series.values)
    bad = -1 if finite.all() else int(np.argmin(finite))
    good = series.values[finite]
    jumped = jumps(series.values if bad < 0 else series.values[:bad])
    return Told(series, bad, int((~finite).sum()), jumped, bool(len(good) == len(finite) and (good == good[:1]).all()))


def odd(members: list[Told]) -> list[Told]:
    """Members that grew or shrank unlike the rest, by the ratio of their end to their start; the oddest first."""
    known = [t for t in members if t.bad < 0 and len(t.series.values) >= WARM and (t.series.values > 0).all()]
    if len(known) < 3:
        return []
    width = 4  # points at either end, so that one that jitters is no exception
    ratio = np.array([np.log(np.median(t.series.values[-width:]) / np.median(t.series.values[:width])) for t in known])
    away = np.abs(ratio - np.median(ratio))
    least = max(float(np.log(1 + ODD)), JUMP * float(np.median(away)))
    return [known[i] for i in np.argsort(-away, kind="stable").tolist() if away[i] > least]


def jumps_by_step(members: list[Told]) -> list[tuple[int, list[tuple[Told, int]]]]:
    """(step, members that jump there and the places of it in them), ascending."""
    found: dict[int, list[tuple[Told, int]]] = defaultdict(list)
    for told in sorted(members, key=lambda t: (t.series.name, t.series.rank)):
        for place in told.jumped.tolist():
            found[int(told.series.steps[place])].append((told, place))
    return sorted(found.items())


def ratio(told: Told, place: int) -> float:
    """How many times larger the greater of the values around a jump is, at most 1e9."""
    before, after = abs(float(told.series.values[place - 1])), abs(float(told.series.values[place]))
    return float(min(1e9, max(before, after) / max(min(before, after), 1e-12, 1e-9 * max(before, after))))


def when(series: Series, place: int) -> tuple[int, int]:
    """The time in which a change came about: of the last point before `place`, and of the point there."""
    if len(series.times_ns) <= place:
        return 0, 0
    return int(series.times_ns[max(0, place - 1)]), int(series.times_ns[place])

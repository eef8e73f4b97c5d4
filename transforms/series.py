"""Numbers in a line each: where a series started and ended, its extremes, and the steps at which it jumped or stopped being finite.

Many series of one statistic (a layer each) become one line, with the layers that behave unlike the rest named; series that never
change become one line together. What is worth a reader's tokens comes first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms.trace import Series, SpanSummary, SparseSummary

JUMP = 8.0  # a change is a jump when it is this many times the median change before it,
WARM = 8  # once that many changes were seen,
LEAST = 0.5  # and when it moves the value by at least this share
NAMED = 3  # jumps, and layers, that a line names


@dataclass(frozen=True, slots=True)
class Summary:
    """kind: "series", "memory", "spans" or "sparse". weight: log-odds of being evidence. events: points that it stands for."""

    kind: str
    name: str
    text: str
    weight: float
    events: int
    first_time_ns: int
    last_time_ns: int
    ranks: tuple[int, ...]


def number(value: float) -> str:
    """Three digits: a digit is a token."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e5:
        return str(int(value))
    return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def size(value: float) -> str:
    """Bytes in the largest unit that keeps them above 1."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{number(value)} {unit}"
        value /= 1024
    return f"{number(value)} TiB"


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
        if change[place] > JUMP * usual:
            found.append(place + 1)
        if len(found) >= 1000:
            break
    return np.array(found, np.int64)


@dataclass(slots=True)
class _Told:
    series: Series
    bad: int  # index of the first value that is not finite, or -1
    bad_count: int
    jumped: npt.NDArray[np.int64]
    constant: bool


def tell(series: Series) -> _Told:
    """What there is to say about one series."""
    finite = np.isfinite(series.values)
    bad = -1 if finite.all() else int(np.argmin(finite))
    good = series.values[finite]
    jumped = jumps(series.values if bad < 0 else series.values[:bad])
    return _Told(series, bad, int((~finite).sum()), jumped, bool(len(good) == len(finite) and (good == good[:1]).all()))


def summarise(
    series: Sequence[Series], spans: Sequence[SpanSummary] = (), sparse: Sequence[SparseSummary] = ()
) -> list[Summary]:
    """A summary for each line that the numbers deserve, the weightiest first; deterministic."""
    groups: dict[tuple[str, str], list[_Told]] = defaultdict(list)
    still: list[_Told] = []
    for one in series:
        if not len(one.values):
            continue
        told = tell(one)
        if told.constant and one.statistic == "metric":
            still.append(told)
        else:
            groups[(one.statistic, family(one))].append(told)
    found = [group_line(statistic, members) for (statistic, _), members in groups.items()]
    if still:
        text = "constant: " + ", ".join(f"{t.series.name} {number(float(t.series.values[0]))}" for t in still[:20])
        if len(still) > 20:
            text += f" and {len(still) - 20} more"
        found.append(_summary("series", "constant", text, -2.0, still))
    found += [span_line(span) for span in spans]
    found += [
        Summary("sparse", s.name, f"{s.name} density {number(s.first_density)} → {number(s.last_density)}, {s.count} times",
                -1.5, s.count, 0, 0, ())
        for s in sparse
    ]  # fmt: skip
    return sorted(found, key=lambda summary: (-summary.weight, summary.kind, summary.name))


def family(series: Series) -> str:
    """What a series is grouped by: layers of one statistic are told together, other names each for itself."""
    if series.statistic.startswith("memory"):
        return series.name
    return "" if series.statistic != "metric" else series.name


def group_line(statistic: str, members: list[_Told]) -> Summary:
    """One line for series that belong together: one metric over ranks, one statistic over layers."""
    memory = statistic.startswith("memory")
    show = size if memory else number
    bad = sorted(
        (t for t in members if t.bad >= 0), key=lambda t: (int(t.series.steps[t.bad]), t.series.name, t.series.rank)
    )
    jumped = sorted(
        ((int(t.series.steps[place]), t, int(place)) for t in members for place in t.jumped[:NAMED].tolist()),
        key=lambda jump: (jump[0], jump[1].series.name, jump[1].series.rank),
    )
    ranks = tuple(sorted({t.series.rank for t in members if t.series.rank >= 0}))
    names = sorted({t.series.name for t in members})
    head = f"{names[0]}" if len(names) == 1 else f"{len(names)} × {statistic}"
    if len(names) == 1 and statistic != "metric":
        head += f" {statistic}"
    if len(ranks) > 1:
        head += f" ({len(ranks)} ranks)"
    steps = (min(int(t.series.steps[0]) for t in members), max(int(t.series.steps[-1]) for t in members))
    parts = [f"{head} steps {steps[0]}-{steps[1]}:"]
    finite = [t.series.values[np.isfinite(t.series.values)] for t in members]
    finite = [values for values in finite if len(values)]
    if finite:
        low, high = min(float(v.min()) for v in finite), max(float(v.max()) for v in finite)
        firsts, lasts = [float(v[0]) for v in finite], [float(t.series.values[-1]) for t in members]
        parts.append(
            f"{show(float(np.median(firsts)))} → {show(float(np.median(lasts)))}, min {show(low)}, max {show(high)}"
        )
    if bad:
        first = bad[0]
        what = show(float(first.series.values[first.bad]))
        text = f"; {what} from step {int(first.series.steps[first.bad])}"
        if len(members) > 1:
            together = [t for t in bad if t.series.steps[t.bad] == first.series.steps[first.bad]]
            text += f" first in {listed(together, names)}" if len(together) < len(members) else " in all"
            text += f" ({len(bad)} of {len(members)})"
        if first.bad > 0:
            text += f", before it {show(float(first.series.values[first.bad - 1]))}"
        parts[-1] += text
    for step, told, place in jumped[:NAMED]:
        values = told.series.values
        where = f" {label(told, names)}" if len(members) > 1 else ""
        parts[-1] += f"; jump at step {step}{where} {show(float(values[place - 1]))} → {show(float(values[place]))}"
    if len(jumped) > NAMED:
        parts[-1] += f"; {sum(len(t.jumped) for t in members) - NAMED} more jumps"
    weight = 4.0 if bad else 1.5 if jumped else (0.5 if re.search(r"loss|grad", names[0] + statistic) else -0.5)
    return _summary("memory" if memory else "series", f"{statistic} {names[0]}", " ".join(parts), weight, members)


def listed(told: list[_Told], names: list[str]) -> str:
    """Up to NAMED of them by name."""
    text = ", ".join(label(t, names) for t in told[:NAMED])
    return text + (f" and {len(told) - NAMED} more" if len(told) > NAMED else "")


def label(told: _Told, names: list[str]) -> str:
    """What tells one member of a group from the others."""
    rank = f"rank {told.series.rank}" if told.series.rank >= 0 else ""
    return f"{told.series.name} {rank}".strip() if len(names) > 1 else rank or told.series.name


def span_line(span: SpanSummary) -> Summary:
    """How many spans of a name, how long, and what went wrong in them."""
    text = (
        f"{span.name}{f' on {span.device}' if span.device else ''}: {span.count} spans, {number(span.total_ns / 1e9)} s"
    )
    text += f", longest {number(span.longest_ns / 1e9)} s"
    if span.errors:
        text += f"; {len(span.errors)} errors: " + "; ".join(list(dict.fromkeys(span.errors))[:2])
    return Summary("spans", f"{span.name} {span.device}", text[:600], 2.5 if span.errors else -1.0, span.count,
                   span.longest_start_ns, span.longest_start_ns + span.longest_ns, ())  # fmt: skip


def _summary(kind: str, name: str, text: str, weight: float, members: list[_Told]) -> Summary:
    times = [(int(t.series.times_ns[0]), int(t.series.times_ns[-1])) for t in members if len(t.series.times_ns)]
    return Summary(
        kind,
        name,
        text,
        weight,
        sum(len(t.series.values) for t in members),
        min((a for a, _ in times), default=0),
        max((b for _, b in times), default=0),
        tuple(sorted({t.series.rank for t in members if t.series.rank >= 0})),
    )

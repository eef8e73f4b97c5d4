"""Numbers in a line each: where a series started and ended, its extremes, and the steps at which it jumped or stopped being finite.

Many series of one statistic (a layer each) become one line, with the layers that behave unlike the rest named; series that never
change become one line together. What is worth a reader's tokens comes first.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from tracewinnow.transforms.change import Told, jumps_by_step, odd, ratio, tell, when
from tracewinnow.transforms.trace import Series, SpanSummary, SparseSummary
from tracewinnow.transforms.units import number, size

NAMED = 2  # jumps, and layers, that a line names
LATEST_NS = (1 << 63) - 1  # a span may say any time
MANY = 6  # steps with jumps, from which the series is one that jumps
NONFINITE, NONFINITE_BEFORE = 4.0, 2.5  # weights of values that are not finite: from here on, since before
FOLLOWS = 1.5  # what the later ones lose
LINES, LONGEST = 1000, 600  # summaries of a trace, and characters of one


@dataclass(frozen=True, slots=True)
class Summary:
    """kind: "series", "memory", "spans" or "sparse". weight: log-odds of being evidence. events: points that it stands for.

    first_time_ns, last_time_ns: from the first to the last point; of a series in trouble, in which the trouble came about.
    """

    kind: str
    name: str
    text: str
    weight: float
    events: int
    first_time_ns: int
    last_time_ns: int
    ranks: tuple[int, ...]


def summarise(
    series: Sequence[Series], spans: Sequence[SpanSummary] = (), sparse: Sequence[SparseSummary] = ()
) -> list[Summary]:
    """A summary for each line that the numbers deserve, the weightiest first; deterministic."""
    groups: dict[tuple[str, str], list[Told]] = defaultdict(list)
    still: list[Told] = []
    for one in series:
        if not len(one.values):
            continue
        told = tell(one)
        if told.constant and one.statistic == "metric":
            still.append(told)
        else:
            groups[(one.statistic, family(one))].append(told)
    found = led([group_line(statistic, members) for (statistic, _), members in groups.items()])
    if still:
        said = list(
            dict.fromkeys(f"{t.series.name} {number(float(t.series.values[0]))}" for t in still)
        )  # once for all ranks
        text = "constant: " + ", ".join(said[:20]) + (f" and {len(said) - 20} more" if len(said) > 20 else "")
        found.append(_summary("series", "constant", text, -2.0, still))
    found += [span_line(span) for span in spans]
    found += [
        Summary("sparse", s.name, f"{s.name} density {number(s.first_density)} → {number(s.last_density)}, {s.count} times",
                -1.5, s.count, 0, 0, ())
        for s in sparse
    ]  # fmt: skip
    found = [one if len(one.text) <= LONGEST else replace(one, text=one.text[: LONGEST - 1] + "…") for one in found]
    found.sort(key=lambda summary: (-summary.weight, summary.kind, summary.name))
    return found if len(found) <= LINES else [*found[: LINES - 1], rest(found[LINES - 1 :])]


def rest(found: list[Summary]) -> Summary:
    """One line for all that are not told."""
    events = sum(one.events for one in found)
    return Summary("series", "more", f"{len(found)} more series and spans, not told here", -3.0, events, 0, 0, ())


def led(found: list[Summary]) -> list[Summary]:
    """Of the series that cease to be finite the first counts most: what follows it says less."""
    bad = sorted((s for s in found if s.weight >= NONFINITE), key=lambda s: (s.last_time_ns, -s.weight, s.name))
    later = {id(s) for s in bad[1:]}
    return [replace(s, weight=s.weight - FOLLOWS) if id(s) in later else s for s in found]


def family(series: Series) -> str:
    """What a series is grouped by: layers of one statistic are told together, other names each for itself."""
    if series.statistic.startswith("memory"):
        return series.name
    return "" if series.statistic != "metric" else series.name


def group_line(statistic: str, members: list[Told]) -> Summary:
    """One line for series that belong together: one metric over ranks, one statistic over layers."""
    show = size if statistic.startswith("memory") else number
    names = sorted({t.series.name for t in members})
    ranks = len({t.series.rank for t in members if t.series.rank >= 0})
    head = names[0] if len(names) == 1 else f"{len(names)} × {statistic}"
    if len(names) == 1 and statistic != "metric":
        head += f" {statistic}"
    if ranks > 1:
        head += f" ({ranks} ranks)"
    steps = (min(int(t.series.steps[0]) for t in members), max(int(t.series.steps[-1]) for t in members))
    finite = [values for t in members if len(values := t.series.values[np.isfinite(t.series.values)])]
    text, weight, onset = f"{head} steps {steps[0]}-{steps[1]}:", -0.5, (0, 0)
    if finite:
        firsts, lasts = [float(v[0]) for v in finite], [float(t.series.values[-1]) for t in members]
        text += f" {show(float(np.median(firsts)))} → {show(float(np.median(lasts)))}"
    trouble, alone = "", set[int]()
    if unlike := odd(members):
        named = ", ".join(f"{label(t, names)} {show(float(t.series.values[-1]))}" for t in unlike[:NAMED])
        trouble, weight = f"; unlike the rest: {named}", 2.0
        alone = {t.series.rank for t in unlike}
    if by_step := jumps_by_step(members):
        said, told_weight, place = jumps_told(by_step, members, names, show)
        trouble += said
        if told_weight > weight:
            weight, onset = told_weight, place
    if bad := sorted(
        (t for t in members if t.bad >= 0), key=lambda t: (int(t.series.steps[t.bad]), t.series.name, t.series.rank)
    ):
        first = bad[0]
        trouble = nonfinite_told(bad, members, names, show) + trouble
        weight, onset = NONFINITE if first.bad else NONFINITE_BEFORE, when(first.series, first.bad)
    if finite and not trouble:
        text += f", min {show(min(float(v.min()) for v in finite))}, max {show(max(float(v.max()) for v in finite))}"
    if re.search(r"loss|grad", names[0] + statistic):
        weight = max(weight + (0.3 if "loss" in names[0] else 0.25), 0.5)
    kind = "memory" if statistic.startswith("memory") else "series"
    return _summary(kind, f"{statistic} {names[0]}", text + trouble, weight, members, onset, alone)


def jumps_told(
    by_step: list[tuple[int, list[tuple[Told, int]]]],
    members: list[Told],
    names: list[str],
    show: Callable[[float], str],
) -> tuple[str, float, tuple[int, int]]:
    """What to say of the jumps, their weight, and when the first that is named was. Of many the largest, else the first."""
    diverged = any(t.bad >= 0 for t in members)  # then the first tells how it began
    named = by_step[: 1 if diverged else NAMED]
    if len(by_step) > MANY:
        named = [max(by_step, key=lambda item: max(ratio(told, place) for told, place in item[1]))]
    parts = []
    for step, at in named:
        before = float(np.median([told.series.values[place - 1] for told, place in at]))
        after = float(np.median([told.series.values[place] for told, place in at]))
        who = "" if diverged else where([told for told, _ in at], members, names)
        parts.append(f"; jump at step {step}{who} {show(before)} → {show(after)}")
    if len(by_step) > len(named) and not diverged:
        parts.append(f"; {len(by_step) - len(named)} more jumps to step {by_step[-1][0]}")
    strength = max(ratio(told, place) for _, at in named for told, place in at)
    weight = 1.5 + min(1.5, 0.5 * math.log10(strength)) - 0.5 * math.log2(len(by_step))
    told, place = named[0][1][0]
    return "".join(parts), weight, when(told.series, place)


def nonfinite_told(bad: list[Told], members: list[Told], names: list[str], show: Callable[[float], str]) -> str:
    """From which step on values are not finite, and in which members first. bad: the members, the first ones first."""
    first = bad[0]
    step = first.series.steps[first.bad]
    passing = all(np.isfinite(t.series.values[-1]) for t in bad)  # and most values behind it are numbers again
    text = f"; {show(float(first.series.values[first.bad]))} {'at' if passing else 'from'} step {int(step)}"
    if passing and (more := sum(t.bad_count for t in bad) - 1):
        text += f" and {more} more times"
    if len(members) > 1:
        together = [t for t in bad if t.series.steps[t.bad] == step]
        text += (
            where(together, members, names) if len(together) == len(members) else f" first in {listed(together, names)}"
        )
        if len(together) < len(members):
            text += f" ({len(bad)} of {len(members)})"
    return text + (f", before it {show(float(first.series.values[first.bad - 1]))}" if first.bad > 0 else "")


def where(some: list[Told], members: list[Told], names: list[str]) -> str:
    """Which members: said once for all of them."""
    if len(members) == 1:
        return ""
    if len(some) == len(members):
        return f" in all {len(members)} ranks" if len(names) == 1 else " in all"
    return f" {label(some[0], names)}" if len(some) == 1 else f" in {len(some)} of {len(members)}"


def listed(told: list[Told], names: list[str]) -> str:
    """Up to NAMED of them by name."""
    text = ", ".join(label(t, names) for t in told[:NAMED])
    return text + (f" and {len(told) - NAMED} more" if len(told) > NAMED else "")


def label(told: Told, names: list[str]) -> str:
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
        text += f"; {span.failed} errors: " + "; ".join(list(dict.fromkeys(span.errors))[:2])
    return Summary("spans", f"{span.name} {span.device}", text, 2.5 if span.errors else -1.0, span.count,
                   span.longest_start_ns, min(span.longest_start_ns + span.longest_ns, LATEST_NS), ())  # fmt: skip


def _summary(
    kind: str,
    name: str,
    text: str,
    weight: float,
    members: list[Told],
    onset: tuple[int, int] = (0, 0),
    alone: AbstractSet[int] = frozenset(),
) -> Summary:
    """alone: the ranks that it is about, where it is not about all."""
    times = [(int(t.series.times_ns[0]), int(t.series.times_ns[-1])) for t in members if len(t.series.times_ns)]
    first, last = onset if onset[0] else (min((a for a, _ in times), default=0), max((b for _, b in times), default=0))
    ranks = tuple(sorted(rank for rank in alone or {t.series.rank for t in members} if rank >= 0))
    return Summary(kind, name, text, weight, sum(len(t.series.values) for t in members), first, last, ranks)

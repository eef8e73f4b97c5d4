"""Small line charts of series as SVG: one chart a name, one line a rank, jumps and what is not finite marked."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.serving.html import Markup, el
from tracewinnow.transforms.change import tell
from tracewinnow.transforms.trace import Series
from tracewinnow.transforms.units import number, size

Floats = npt.NDArray[np.float64]
WIDTH, HEIGHT, PAD = 320, 96, 6
POINTS = 160  # a line has at most twice as many: the least and the largest of each stretch
LINES = 8  # in one chart
JUMPS = 3  # marked in one line


@dataclass(frozen=True, slots=True)
class Chart:
    """series: of one name and statistic, one a rank. interest: larger is shown first."""

    name: str
    statistic: str
    series: tuple[Series, ...]
    interest: float


def choose(series: Sequence[Series], limit: int = 12) -> list[Chart]:
    """The most telling charts: numbers that stop being numbers, then jumps, then change; metrics before layers."""
    by_name: defaultdict[tuple[str, str], list[Series]] = defaultdict(list)
    for one in series:
        if len(one.values) > 1:
            by_name[one.name, one.statistic].append(one)
    charts = [
        Chart(name, statistic, tuple(sorted(of, key=lambda s: s.rank)), max(map(interest, of)))
        for (name, statistic), of in by_name.items()
    ]
    charts.sort(key=lambda chart: (-chart.interest, chart.statistic != "metric", chart.name))
    return charts[:limit]


def interest(series: Series) -> float:
    """How much a series has to tell; scale-free."""
    bad = ~np.isfinite(series.values)
    steps = _steps(series.values)
    typical = float(np.median(steps)) if len(steps) else 0.0
    most = float(steps.max()) if len(steps) else 0.0
    # What stood still and then moved, such as a learning rate, tells more than any noise.
    jump = most / typical if typical > 0 else (500.0 if most > 0 else 0.0)
    kind = {"metric": 4.0, "memory_used": 4.0}.get(series.statistic, 1.0)
    return kind * (1000.0 * bool(bad.any() and not bad.all()) + min(jump, 500.0))


def _steps(values: Floats) -> Floats:
    finite = values[np.isfinite(values)]
    # Halved before the difference, so that the largest floats do not overflow; a factor does not matter here.
    return np.abs(np.diff(finite / 2))


def draw(chart: Chart) -> Markup:
    """The chart as an SVG, with what it shows in words below."""
    shown = chart.series[:LINES]
    values = np.concatenate([one.values for one in shown])
    finite = values[np.isfinite(values)]
    steps = np.concatenate([one.steps for one in shown])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    word = size if chart.statistic.startswith("memory") else number
    scale = _Scale(float(steps.min()), float(steps.max()), low, high, logarithmic=low > 0 and high / low > 1000)
    lines: list[Markup] = []
    bands: dict[tuple[str, str], Markup] = {}  # ranks mostly fail together: one band for all of them
    for place, one in enumerate(shown):
        lines += [el("polyline", points=points, class_=f"line l{place}") for points in scale.lines(one)]
        lines += scale.jumps(one, word)
        bands.update(scale.bad(one))

    about = [f"{len(values):,} values", f"{word(low)} to {word(high)}" if len(finite) else "no finite value"]
    if scale.logarithmic:
        about.append("log scale")
    ranks = [one.rank for one in chart.series if one.rank >= 0]
    if len(ranks) > 1:
        about.append(f"ranks {min(ranks)} to {max(ranks)}" + (f" ({LINES} drawn)" if len(ranks) > LINES else ""))
    if len(finite) < len(values):
        about.append(f"{len(values) - len(finite):,} not finite")
    told = ", ".join(about)
    alarm = None
    if bands:
        first = min(
            int(one.steps[np.argmin(np.isfinite(one.values))]) for one in shown if not np.isfinite(one.values).all()
        )
        alarm = el("p", f"not finite from step {first:,} on", class_="alarm")
    return el(
        "figure",
        el("figcaption", el("b", chart.name), el("span", "" if chart.statistic == "metric" else chart.statistic)),
        el("svg", *bands.values(), lines, viewBox=f"0 0 {WIDTH} {HEIGHT}", preserveAspectRatio="none", role="img",
           aria_label=f"{chart.name} {chart.statistic}: {told}"),
        el("p", told, class_="dim"),
        alarm,
        class_="chart",
    )  # fmt: skip


class _Scale:
    def __init__(self, first: float, last: float, low: float, high: float, logarithmic: bool) -> None:
        self.logarithmic = logarithmic
        self.first, self.width = first, max(last - first, 1e-300)
        self.low = np.log(low) if logarithmic else low / 2
        self.span = max((np.log(high) if logarithmic else high / 2) - self.low, 1e-300)

    def x(self, steps: npt.NDArray[np.int64]) -> Floats:
        return PAD + (WIDTH - 2 * PAD) * (steps.astype(np.float64) - self.first) / self.width

    def y(self, values: Floats) -> Floats:
        """Only of finite values."""
        values = np.log(values) if self.logarithmic else values / 2
        return HEIGHT - PAD - (HEIGHT - 2 * PAD) * ((values - self.low) / self.span)

    def lines(self, series: Series) -> list[str]:
        """Points of the stretches between values that are not finite."""
        finite = np.isfinite(series.values)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], finite, [False]]).astype(np.int8)))
        found = []
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            kept = begin + _extremes(series.values[begin:end])
            x, y = self.x(series.steps[kept]), self.y(series.values[kept])
            found.append(" ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)))
        return found[:POINTS]

    def jumps(self, series: Series, word: Callable[[float], str]) -> Iterator[Markup]:
        """A circle at each jump that the summary of the series speaks of."""
        for at in tell(series).jumped[:JUMPS].tolist():
            x, y = self.x(series.steps[at : at + 1])[0], self.y(series.values[at : at + 1])[0]
            before, after = word(float(series.values[at - 1])), word(float(series.values[at]))
            title = el("title", f"jump at step {series.steps[at]}: {before} → {after}")
            yield el("circle", title, cx=f"{x:.1f}", cy=f"{y:.1f}", r=3, class_="jump")

    def bad(self, series: Series) -> Iterator[tuple[tuple[str, str], Markup]]:
        """A band where values are not finite, by its place and width."""
        bad = ~np.isfinite(series.values)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], bad, [False]]).astype(np.int8)))
        for begin, end in list(zip(edges[::2], edges[1::2], strict=True))[:20]:
            left, right = self.x(series.steps[[begin, end - 1]])
            title = el("title", f"not finite from step {series.steps[begin]} to {series.steps[end - 1]}")
            x, width = f"{left:.1f}", f"{max(right - left, 2):.1f}"
            yield (x, width), el("rect", title, x=x, y=0, width=width, height=HEIGHT, class_="bad")


def _extremes(values: Floats) -> npt.NDArray[np.int64]:
    """Places of the least and largest value of each of POINTS stretches, with both ends."""
    if len(values) <= 2 * POINTS:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), POINTS + 1).astype(np.int64)
    places = {0, len(values) - 1}
    for begin, end in itertools.pairwise(edges.tolist()):
        places |= {begin + int(values[begin:end].argmin()), begin + int(values[begin:end].argmax())}
    return np.array(sorted(places))

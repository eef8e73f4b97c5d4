"""Small line charts of series as SVG: one chart a name, one line a rank, jumps and what is not finite marked."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.serving.html import Markup, el
from tracewinnow.serving.text import size
from tracewinnow.transforms.trace import Series

Floats = npt.NDArray[np.float64]
WIDTH, HEIGHT, PAD = 320, 96, 6
POINTS = 160  # a line has at most twice as many: the least and the largest of each stretch
LINES = 8  # in one chart
JUMP = 20.0  # a step is a jump when it is so many times the median step of the series, and
JUMP_SHARE = 0.15  # so much of its range


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


def jumps(values: Floats) -> npt.NDArray[np.int64]:
    """Places whose value left the one before by far (see JUMP and JUMP_SHARE); the three largest, ascending."""
    steps = _steps(values)
    if len(steps) < 8:
        return np.array([], np.int64)
    finite = values[np.isfinite(values)]
    span = float(finite.max() / 2 - finite.min() / 2)
    found = np.flatnonzero((steps > JUMP * np.median(steps)) & (steps > JUMP_SHARE * span))
    largest = found[np.argsort(steps[found])[-3:]]
    where = np.flatnonzero(np.isfinite(values))
    return np.sort(where[largest + 1])


def _steps(values: Floats) -> Floats:
    finite = values[np.isfinite(values)]
    # Halved before the difference, so that the largest floats do not overflow; a factor does not matter here.
    return np.abs(np.diff(finite / 2))


def draw(chart: Chart) -> Markup:
    """The chart as an SVG with its first, last, least and largest value in words beside it."""
    shown = chart.series[:LINES]
    values = np.concatenate([one.values for one in shown])
    finite = values[np.isfinite(values)]
    steps = np.concatenate([one.steps for one in shown])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    shown_as = size if chart.statistic.startswith("memory") else "{:.4g}".format
    logarithmic = low > 0 and high / low > 1000
    scale = _Scale(float(steps.min()), float(steps.max()), low, high, logarithmic)
    marks: list[Markup] = []
    bands: dict[tuple[str, str], Markup] = {}  # ranks mostly fail together: one band for all of them
    for number, one in enumerate(shown):
        marks += [el("polyline", points=points, class_=f"line l{number}") for points in scale.lines(one)]
        for at in jumps(one.values):
            x, y = scale.x(one.steps[at : at + 1])[0], scale.y(one.values[at : at + 1])[0]
            marks.append(
                el(
                    "circle",
                    _title(f"step {one.steps[at]}: {one.values[at]:.6g}"),
                    cx=f"{x:.1f}",
                    cy=f"{y:.1f}",
                    r=3,
                    class_="jump",
                )
            )
        bands.update(scale.bad(one))
    marks = [*bands.values(), *marks]
    bad = int((~np.isfinite(values)).sum())
    ranks = [one.rank for one in chart.series if one.rank >= 0]
    about = [f"{len(values):,} values", f"{shown_as(low)} to {shown_as(high)}" if len(finite) else "no finite value"]
    if logarithmic:
        about.append("log scale")
    if len(ranks) > 1:
        about.append(f"ranks {min(ranks)} to {max(ranks)}" + (f" ({LINES} drawn)" if len(ranks) > LINES else ""))
    told = ", ".join(about) + (f", {bad:,} not finite" if bad else "")
    first_bad = min(
        (int(one.steps[np.argmin(np.isfinite(one.values))]) for one in shown if not np.isfinite(one.values).all()),
        default=None,
    )
    return el(
        "figure",
        el("figcaption", el("b", chart.name), el("span", "" if chart.statistic == "metric" else chart.statistic)),
        el("svg", marks, viewBox=f"0 0 {WIDTH} {HEIGHT}", preserveAspectRatio="none", role="img",
           aria_label=f"{chart.name} {chart.statistic}: {told}"),
        el("p", told, class_="dim"),
        el("p", f"not finite from step {first_bad:,} on", class_="alarm") if first_bad is not None else None,
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
        return HEIGHT - PAD - (HEIGHT - 2 * PAD) * (values - self.low) / self.span

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

    def bad(self, series: Series) -> Iterator[tuple[tuple[str, str], Markup]]:
        """A band where values are not finite, by its place and width."""
        bad = ~np.isfinite(series.values)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], bad, [False]]).astype(np.int8)))
        for begin, end in list(zip(edges[::2], edges[1::2], strict=True))[:20]:
            left, right = self.x(series.steps[[begin, end - 1]])
            title = _title(f"not finite from step {series.steps[begin]} to {series.steps[end - 1]}")
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


def _title(text: str) -> Markup:
    return el("title", text)

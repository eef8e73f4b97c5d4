"""The life of a job as rows over one time axis: how much it printed, classes, what was kept of each rank, its end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.serving.html import Markup, el
from tracewinnow.serving.text import SECOND, duration, number, utc
from tracewinnow.serving.warehouse import Job

CLASSES = ("actionable", "context", "metadata", "noise")
BINS, WIDTH = 120, 1000
RANKS = 16  # rows at most
SAMPLES = 1_000_000  # lines of a trace beyond this are counted by every n-th


def line_times(trace: PreprocessedTrace, lines: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Unix nanoseconds of raw lines, between the times of those that are known; lines stand in time order."""
    known = [(1, trace.job.first_time_ns or trace.window_start_ns)]
    # A segment that stands for repeats has their times, not that of its own line.
    alone = (s for s in trace.segments if s.first and s.first_time_ns == s.last_time_ns > 0)
    known += sorted((s.first, s.first_time_ns) for s in alone)
    known.append((max(trace.lines_before, 1), trace.job.last_time_ns or trace.window_end_ns))
    at = np.array([line for line, _ in known], np.float64)
    times = np.maximum.accumulate(np.array([time for _, time in known], np.float64))
    between: npt.NDArray[np.float64] = np.interp(lines, at, times)
    return between


def histogram(traces: Sequence[PreprocessedTrace], begin: int, end: int) -> npt.NDArray[np.float64]:
    """Lines of each class in each bin of [begin, end] ns: float64[len(CLASSES), BINS]."""
    counts = np.zeros((len(CLASSES), BINS))
    for trace in traces:
        if not trace.lines_before:
            continue
        stride = 1 + trace.lines_before // SAMPLES
        lines = np.arange(1, trace.lines_before + 1, stride)
        starts = np.array([of.first for of in trace.line_classes] or [1])
        labels = np.array([_class(of.label) for of in trace.line_classes] or [len(CLASSES) - 1])
        of_line = labels[np.clip(np.searchsorted(starts, lines, side="right") - 1, 0, None)]
        bins = ((line_times(trace, lines) - begin) * BINS / max(end - begin, 1)).astype(np.int64).clip(0, BINS - 1)
        counts += stride * np.bincount(of_line * BINS + bins, minlength=counts.size).reshape(counts.shape)
    return counts


def _class(label: str) -> int:
    return CLASSES.index(label) if label in CLASSES else len(CLASSES) - 1


def timeline(job: Job, traces: Sequence[PreprocessedTrace], kept: Sequence[Segment]) -> Markup:
    """The section's content; says so where no time is known."""
    times = [t for trace in traces for t in (trace.job.first_time_ns, trace.job.last_time_ns) if t]
    if not times:
        return el("p", "Nothing of this job has a time.", class_="dim")
    begin, end = min(times), max([*times, job.ended_ns])
    axis = _Axis(begin, max(end, begin + 1))
    counts = histogram(traces, begin, axis.end)
    marks = [axis.mark(trace.window_start_ns, "window") for trace in traces if begin < trace.window_start_ns < end]
    ended = job.ended_ns and job.state in ("crashed", "stopped")
    if ended:
        marks.append(axis.mark(job.ended_ns, job.state))

    rows = [_row("lines", f"most at once: {number(int(counts.sum(0).max()))}", _bars(counts), marks, 56)]
    for at, label in enumerate(CLASSES[:3]):
        if counts[at].any():
            rows.append(_row(label, f"{number(int(counts[at].sum()))} lines", _heat(counts[at], label), marks, 12))
    by_rank: dict[int, list[Segment]] = {}
    for segment in kept:
        for rank in segment.ranks or [-1]:
            by_rank.setdefault(rank, []).append(segment)
    rows.append(el("p", "Kept in the answer, by rank", class_="dim"))
    for rank in sorted(by_rank)[:RANKS]:
        name = f"rank {rank}" if rank >= 0 else "no rank"
        shapes = [axis.span(segment) for segment in by_rank[rank]]
        rows.append(_row(name, f"{len(shapes)} segments", shapes, marks, 16))
    if len(by_rank) > RANKS:
        rows.append(el("p", f"and {len(by_rank) - RANKS} more ranks", class_="dim"))
    how = f"{job.state} after {duration(job.ended_ns - begin)}" if ended else job.state
    scale = el("div", el("span"), el("p", el("span", f"{utc(begin)} UTC"), el("span", how, class_=job.state.split()[0]),
               el("span", f"+{duration(axis.end - begin)}"), class_="scale"), class_="row")  # fmt: skip
    return el("div", rows, scale, class_="timeline")


class _Axis:
    def __init__(self, begin: int, end: int) -> None:
        self.begin, self.end = begin, end

    def x(self, time_ns: float) -> float:
        return min(max(WIDTH * (time_ns - self.begin) / (self.end - self.begin), 0), WIDTH)

    def mark(self, time_ns: int, kind: str) -> Markup:
        x = f"{min(self.x(time_ns), WIDTH - 1):.1f}"
        return el(
            "line",
            el("title", f"{kind}: +{(time_ns - self.begin) / SECOND:.1f} s"),
            x1=x,
            x2=x,
            y1=0,
            y2="100%",
            class_=f"mark {kind}",
        )

    def span(self, segment: Segment) -> Markup:
        """What was kept, where it begins; one that stands for many goes on to the last of them."""
        left = self.x(segment.first_time_ns or self.begin)
        right = self.x(max(segment.last_time_ns, segment.first_time_ns) or self.begin)
        told = f"{segment.label}: {segment.text[:120]}"
        return el(
            "rect", el("title", told), x=f"{min(left, WIDTH - 5):.1f}", y=1, width=f"{max(right - left, 5):.1f}",
            height=14, class_=f"c-{CLASSES[_class(segment.label)]}",
        )  # fmt: skip


def _row(name: str, title: str, shapes: Sequence[Markup], marks: Sequence[Markup], height: int) -> Markup:
    drawn = el("svg", shapes, marks, viewBox=f"0 0 {WIDTH} {height}", preserveAspectRatio="none", role="img",
               aria_label=f"{name}: {title}", class_=f"h{height}")  # fmt: skip
    return el("div", el("span", name, title=title), drawn, class_="row")


def _bars(counts: npt.NDArray[np.float64]) -> list[Markup]:
    total, step = counts.sum(0), WIDTH / BINS
    most = max(total.max(), 1.0)
    return [
        el("rect", el("title", f"{int(count):,} lines"), x=f"{at * step:.1f}", y=f"{56 - 54 * count / most:.1f}",
           width=f"{step - 1.5:.1f}", height=f"{54 * count / most:.1f}", class_="c-noise")
        for at, count in enumerate(total) if count
    ]  # fmt: skip


def _heat(counts: npt.NDArray[np.float64], label: str) -> list[Markup]:
    step, most = WIDTH / BINS, np.log1p(counts.max())
    return [
        el("rect", el("title", f"{int(count):,} {label}"), x=f"{at * step:.1f}", y=1, width=f"{step - 1.5:.1f}", height=10,
           fill_opacity=f"{0.35 + 0.65 * np.log1p(count) / most:.2f}", class_=f"c-{label}")
        for at, count in enumerate(counts) if count
    ]  # fmt: skip

"""Sparse tensors and timeline spans as text for a language model. FORMAT.md, section 12."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import legend, numbers
from .errors import BadArgument
from .numbers import Bound
from .render import count_bytes
from .spans import Span
from .sparse import Coo

UNITS = ((10**9, "s"), (10**6, "ms"), (10**3, "us"), (1, "ns"))


def finest(texts: Iterator[str], budget: int | None, count: Callable[[str], int]) -> str:
    """The first of texts, finest first, that is within the budget. Raises BadArgument if none is."""
    text = ""
    for text in texts:
        if budget is None or count(text) <= budget:
            return text
    raise BadArgument(f"a budget of {budget} tokens is below the shortest summary, which has {count(text)}")


def thinning(total: int) -> Iterator[int]:
    """total, and then ever fewer, down to 0."""
    yield total
    while total:
        total = total * 2 // 3
        yield total


def render_sparse(
    tensor: NDArray[Any] | Coo,
    *,
    rel_error: float = 0.01,
    budget: int | None = None,
    count: Callable[[str], int] = count_bytes,
) -> str:
    """A sparse tensor as text: shape, density, spread of the values, and its entries row by row.

    Under a budget (in tokens, as `count` counts them) only the largest entries are listed, and the text says how
    many of how many. Raises BadArgument if not even the summary fits.
    """
    coo = tensor if isinstance(tensor, Coo) else Coo.of(np.asarray(tensor))
    total = math.prod(coo.shape)
    kind = "pattern" if coo.values is None else coo.values.dtype.name
    shape = "x".join(map(str, coo.shape)) or "scalar"
    head = f"sparse: {shape} {kind}, {len(coo.index)} of {total} not zero ({len(coo.index) / max(total, 1):.2%})"
    if coo.values is None:
        order = np.arange(len(coo.index))
    else:
        values = coo.values.astype(np.float64)
        finite = values[np.isfinite(values)]
        if len(finite):
            low, mid, high = (f"{v:.3g}" for v in (finite.min(), np.median(finite), finite.max()))
            head += f", values from {low} over median {mid} to {high}"
        if len(finite) < len(values):
            head += f", {len(values) - len(finite)} not finite"
        # What is not finite is what people look for: it counts as largest.
        order = np.argsort(-np.where(np.isfinite(values), np.abs(values), np.inf), kind="stable")

    def texts() -> Iterator[str]:
        start = len(order) if budget is None else min(len(order), budget)
        for some in thinning(start):
            chosen = np.sort(order[:some])
            note = "" if some == len(order) else f"\nonly the {some} largest of {len(order)} entries:" if some else ""
            yield head + note + "\n" + entries(coo, chosen, rel_error)

    return finest(texts(), budget, count)


def entries(coo: Coo, chosen: NDArray[np.intp], rel_error: float) -> str:
    """A line for each row (all indices but the last): `[2,0] 5=.25 7=1.5`, or `[2,0] 5 7:9` for a pattern."""
    width = coo.shape[-1] if coo.shape else 1
    lines: list[str] = []
    row = -1
    bound = Bound(rel=rel_error)
    last = None
    for k in chosen.tolist():
        here, at = divmod(int(coo.index[k]), width)
        if here != row:
            row, last = here, None
            place = ",".join(map(str, np.unravel_index(here, coo.shape[:-1]))) if len(coo.shape) > 1 else ""
            lines.append(f"[{place}]")
        if coo.values is not None:
            lines[-1] += f" {at}={numbers.text(numbers.decimal(float(coo.values[k]), bound), 0)}"
        elif last is not None and at == last[1] + 1:
            lines[-1] = lines[-1][: last[2]] + f" {last[0]}:{at}"
            last = (last[0], at, last[2])
        else:
            last = (at, at, len(lines[-1]))
            lines[-1] += f" {at}"
    return "".join(line + "\n" for line in lines)


def render_spans(
    spans: Sequence[Span],
    *,
    rel_error: float = 0.02,
    budget: int | None = None,
    count: Callable[[str], int] = count_bytes,
) -> str:
    """Spans as text: for each track, in order of time, name and duration, with the gap before it where there is one.

    Under a budget (in tokens, as `count` counts them) only the longest are listed one by one; the others, and in the
    end all, are told by name: how many, in total, median and longest. Raises BadArgument if not even that fits.
    """
    ordered = sorted(spans, key=lambda span: (span.start_ns, -span.duration_ns))
    if not ordered:
        return "spans: none\n"
    start = ordered[0].start_ns
    stop = max(span.start_ns + span.duration_ns for span in ordered)
    usual = sorted(span.duration_ns for span in ordered)[len(ordered) // 2]
    size, unit = next((u for u in UNITS if u[0] <= max(usual, 1)), UNITS[-1])
    size, unit = (size, unit) if size == 1 or usual >= 30 * size else UNITS[[u[0] for u in UNITS].index(size) + 1]
    names = list(dict.fromkeys(span.name for span in ordered))
    short, letters = legend.shorten(names)
    shown = dict(zip(names, short, strict=True))
    head = f"spans: {len(ordered)} in {(stop - start) / size:.6g} {unit}, all times in {unit}"
    if letters:
        head += "\nlegend: " + " ".join(f"{letter}={part}" for letter, part in letters.items())

    def texts() -> Iterator[str]:
        listed = head + "\nby track, name duration, (gap before):\n"
        start = len(ordered) if budget is None else min(len(ordered), budget)
        longest = sorted(ordered, key=lambda span: -span.duration_ns)
        for some in thinning(start):
            if some == len(ordered):
                yield listed + tracks(ordered, shown, size, rel_error)
            elif some:
                few = sorted(longest[:some], key=lambda span: span.start_ns)
                note = f"the {some} longest, name start+duration:\n"
                yield head + "\n" + by_name(ordered, shown, size) + note + singly(few, shown, size, start_ns, rel_error)
        yield head + "\n" + by_name(ordered, shown, size)
        yield f"spans: {len(ordered)} of {len(names)} names in {(stop - start_ns) / size:.6g} {unit}\n"

    start_ns = start
    return finest(texts(), budget, count)


def time_text(ns: int, size: int, rel_error: float) -> str:
    return numbers.text(numbers.decimal(ns / size, Bound(rel=rel_error)), 0)


def tracks(spans: Sequence[Span], shown: dict[str, str], size: int, rel_error: float) -> str:
    """A line for each track; a sequence of like spans is written once with how often it comes."""
    begin = spans[0].start_ns
    by_track: dict[str, list[Span]] = {}
    for span in spans:
        by_track.setdefault(span.track, []).append(span)
    lines = []
    for track, own in by_track.items():
        words: list[str] = []
        at = begin
        name = ""
        for span in own:
            gap = span.start_ns - at
            if abs(gap) > rel_error * max(span.duration_ns, size):
                words.append(f"({time_text(gap, size, rel_error)})")
            words.append(
                f"{'=' if span.name == name else shown[span.name]} {time_text(span.duration_ns, size, rel_error)}"
            )
            at = span.start_ns + span.duration_ns
            name = span.name
        lines.append(f"{track or '-'}: " + " ".join(words))
    return "".join(line + "\n" for line in lines)


def singly(spans: Sequence[Span], shown: dict[str, str], size: int, start: int, rel_error: float) -> str:
    words = []
    for s in spans:
        at, long = time_text(s.start_ns - start, size, rel_error / 10), time_text(s.duration_ns, size, rel_error)
        words.append(f"{shown[s.name]} {at}+{long}")
    return "; ".join(words) + "\n"


def by_name(spans: Sequence[Span], shown: dict[str, str], size: int) -> str:
    """`name: 20 times, total 3.1, median .15, longest .9`, the greatest total first."""
    groups: dict[str, list[int]] = {}
    for span in spans:
        groups.setdefault(span.name, []).append(span.duration_ns)
    lines = []
    for name, durations in sorted(groups.items(), key=lambda item: -sum(item[1])):
        total, middle, most = sum(durations), sorted(durations)[len(durations) // 2], max(durations)
        told = [time_text(ns, size, 0.01) for ns in (total, middle, most)]
        lines.append(f"{shown[name]}: {len(durations)} times, total {told[0]}, median {told[1]}, longest {told[2]}")
    return "".join(line + "\n" for line in lines)

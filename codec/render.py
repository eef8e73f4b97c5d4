"""Series as text for a language model, and back. FORMAT.md, section 12.

series: 3 names, 8 steps, float32, within 1% (= as before, =3 three times so, ! jump)
steps: 0 to 700 by 100
legend: A=blocks.0.attn.
A q.grad_norm e-3: 115 117 = 121 980! 118 =2
A k.grad_norm: 1 =6 nan!
constant: A q.scale 1
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import legend, numbers
from .coarsen import edges, means, variation
from .errors import BadArgument, Corrupt
from .numbers import Bound
from .series import DTYPES, Series, check, check_steps

DIGITS = {"float16": 5, "float32": 9, "float64": 17, "int64": 19}
JUMP = 8.0  # times the usual change from step to step
COARSE = (0.01, 0.03, 0.1)  # bounds that a text under a budget falls back to


@dataclass(frozen=True)
class Text:
    """What a rendered text says. steps: first and last step of each column of text; alike unless it was coarsened."""

    series: Series
    last_steps: NDArray[np.int64]


def count_bytes(text: str) -> int:
    """The tokens of a text, at most: no byte-level tokenizer makes more tokens than there are bytes."""
    return len(text.encode("utf-8", "surrogateescape"))


def render_series(
    series: Series | ArrayLike,
    *,
    names: Sequence[str] | None = None,
    steps: ArrayLike | None = None,
    rel_error: float | None = None,
    abs_error: float | None = None,
    budget: int | None = None,
    count: Callable[[str], int] = count_bytes,
) -> str:
    """Samples (steps, names) as a compact text that explains itself; parse_series reads it back.

    Digits: no more than the bound needs (rel_error or abs_error; without one, all that tell the values apart).
    budget: at most so many tokens, as `count` counts them. Steps with little change are then averaged, steps with much
    stay apart, and the text says so. Raises BadArgument, also if the budget is below the shortest summary.
    """
    if isinstance(series, Series):
        names = series.names if names is None else names
        steps = series.steps if steps is None else steps
        rel_error = series.rel_error if rel_error is None and abs_error is None else rel_error
        abs_error = series.abs_error if rel_error is None and abs_error is None else abs_error
        series = series.values
    values, meta = check(series, names, rel_error, abs_error)
    at = check_steps(steps, len(values))
    labels = meta.names if meta.names is not None else [str(j) for j in range(meta.columns)]
    bound = Bound(meta.rel_error, meta.abs_error)
    if budget is None:
        return write(values, labels, at, at, bound, meta.dtype, False)
    if len(values) * max(meta.columns, 1) <= 2 * budget:  # a value is a token at least, but for repeats
        whole = write(values, labels, at, at, bound, meta.dtype, False)
        if count(whole) <= budget:
            return whole
    return fit(values, labels, at, bound, meta.dtype, budget, count)


def fit(
    values: NDArray[Any], names: list[str], steps: NDArray[np.int64], bound: Bound, dtype: np.dtype[Any],
    budget: int, count: Callable[[str], int],
) -> str:  # fmt: skip
    """The finest coarsening whose text is within the budget."""
    changes = variation(values)

    def attempt(parts: int, bound: Bound) -> str:
        first = edges(changes, parts)
        last = np.append(first[1:], len(values)) - 1
        return write(means(values, first), names, steps[first], steps[last], bound, dtype, True)

    coarse = [Bound(rel=max(rel, bound.rel or 0.0)) for rel in COARSE]
    best = ""
    for limit in (bound, *coarse):
        low, high = 1, min(len(values), budget)
        if not len(values) or count(attempt(1, limit)) > budget:
            continue
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if count(attempt(middle, limit)) <= budget else (low, middle - 1)
        best = attempt(low, limit)
        # Digits are worth less than steps: a coarser bound is taken while it more than doubles the steps shown.
        if low >= min(len(values), 8) or limit is coarse[-1]:
            return best
    if best:
        return best
    summary = summarise(values, names, steps)
    if count(summary) <= budget:
        return summary
    raise BadArgument(f"a budget of {budget} tokens is below the shortest summary, which has {count(summary)}")


def summarise(values: NDArray[Any], names: list[str], steps: NDArray[np.int64]) -> str:
    """One line for all names and steps, when there is no room for more."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    span = f", steps {steps.min()} to {steps.max()}" if len(steps) else ""
    middle = ""
    if finite.size:
        low, mid, high = (f"{float(v):.3g}" for v in (finite.min(), np.median(finite), finite.max()))
        middle = f", from {low} over median {mid} to {high}"
    return f"summary: {len(names)} names{span}{middle}, {values.size - finite.size} not finite\n"


def write(
    values: NDArray[Any], names: list[str], first: NDArray[np.int64], last: NDArray[np.int64], bound: Bound,
    dtype: np.dtype[Any], coarsened: bool,
) -> str:  # fmt: skip
    short, letters = legend.shorten(names)
    within = "exact"
    if bound.rel:
        within = f"within {bound.rel!r} of it"
    elif bound.abs:
        within = f"within {bound.abs!r}"
    head = f"series: {len(names)} names, {len(values)} steps, {dtype.name}, {within}"
    lines = [head + " (= as before, =3 three times so, ! jump, e-3 unit)"]
    if coarsened:
        merged = int(np.count_nonzero(first != last))
        lines.append(f"coarsened: {merged} of these steps are means over flatter stretches")
    if len(first):
        lines.append("steps: " + write_steps(first, last))
    if letters:
        lines.append("legend: " + " ".join(f"{letter}={part}" for letter, part in letters.items()))
    constant = []
    for j, name in enumerate(short):
        row = write_row(values[:, j], bound, DIGITS[dtype.name])
        if row.endswith(f" ={len(values) - 1}") and row.count(" ") == 1 + row.startswith("e") and len(values) > 2:
            constant.append(f"{name} {row.rsplit(' ', 1)[0]}")
        else:
            unit, _, rest = row.partition(" ") if row.startswith("e") else ("", "", row)
            lines.append(f"{name}{' ' + unit if unit else ''}: {rest}")
    if constant:
        lines.append("constant: " + ", ".join(constant))
    return "\n".join(lines) + "\n"


def write_steps(first: NDArray[np.int64], last: NDArray[np.int64]) -> str:
    start, count = int(first[0]), len(first)
    stride = int(first[1]) - start if count > 1 else 1
    if count > 2 and np.array_equal(first, last) and all(int(s) == start + i * stride for i, s in enumerate(first)):
        return f"{start} to {int(first[-1])} by {stride}"
    if not np.array_equal(first, last) and bool((first[1:] > last[:-1]).all()):
        return " ".join(map(str, first.tolist())) + f"{UP_TO}{int(last[-1])}"
    return " ".join(f"{a}" if a == b else f"{a}:{b}" for a, b in zip(first.tolist(), last.tolist(), strict=True))


def write_row(column: NDArray[Any], bound: Bound, digits: int) -> str:
    """`[unit ]value ...` of one series: a value that the one before stands for within the bound is not printed
    again."""
    exact = [int(v) for v in column] if column.dtype.kind == "i" else [float(v) for v in column]
    marks = jumps(column)
    held: list[tuple[numbers.Decimal | None, bool]] = []
    printed: float | int | None = None
    for v, mark in zip(exact, marks, strict=True):
        if printed is not None and (v == printed if isinstance(v, int) else bound.holds(float(printed), v)):
            held.append((None, False))
            continue
        number = (
            numbers.whole(v) if isinstance(v, int) else numbers.decimal(v, rounding(bound, column.dtype, v), digits)
        )
        held.append((number, mark))
        printed = v if isinstance(v, int) else as_printed(number, column.dtype)
    unit = numbers.unit_of([number for number, _ in held if number is not None])
    words: list[str] = []
    repeats = 0
    for shown, mark in [*held, (numbers.Decimal("", 0), False)]:
        if shown is None:
            repeats += 1
            continue
        if repeats:
            words.append("=" if repeats == 1 else f"={repeats}")
        repeats = 0
        words.append(numbers.text(shown, unit) + "!" * mark)
    return " ".join([f"e{unit}"] * (unit != 0) + words[:-1])


def rounding(bound: Bound, dtype: np.dtype[Any], value: float) -> Bound:
    """The bound less what rounding to the dtype may add; for an exact text, half the distance to the next value."""
    if not math.isfinite(value) or value == 0:
        return bound
    exact = np.array(value, dtype)
    half = abs(float(exact) - float(np.nextafter(exact, np.array(0, dtype)))) / 2
    if bound.rel is not None:
        return Bound(abs=max(bound.rel * abs(value) - half, half / 2))
    if bound.abs is not None:
        return Bound(abs=max(bound.abs - half, half / 2))
    return Bound(abs=half * 0.49)


def as_printed(number: numbers.Decimal, dtype: np.dtype[Any]) -> float:
    return float(np.array(numbers.value(numbers.text(number, 0), 0), dtype))


def jumps(column: NDArray[Any]) -> list[bool]:
    """Marks: the first value that is not finite after one that was, and changes far beyond the usual."""
    if len(column) == 0:
        return []
    values = column.astype(np.float64)
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore", over="ignore"):
        change = np.abs(np.diff(values, prepend=values[0]))
        usual = np.median(change[np.isfinite(change)]) if np.isfinite(change).any() else 0.0
        far = (change > JUMP * usual) & (change > 0.1 * np.abs(values)) & finite
    broken = ~finite & np.append(True, finite[:-1])
    marks: list[bool] = (far | broken).tolist()
    return marks


UP_TO = ", each up to the next, to "
STEP = re.compile(r"(-?\d+)(?::(-?\d+))?")


def parse_series(text: str) -> Text:
    """What a text of render_series says. Raises Corrupt (offset: line number) on anything else."""
    lines = text.splitlines()
    head = re.fullmatch(
        r"series: (\d+) names, (\d+) steps, (\w+), (?:(exact)|within (\S+?)( of it)?) \(.*\)", lines[0] if lines else ""
    )
    names_of = {dtype.name: dtype for dtype in DTYPES.values()}
    if not head or head[3] not in names_of:
        raise Corrupt("not a text of render_series", 1)
    columns, count, dtype = int(head[1]), int(head[2]), names_of[head[3]]
    try:
        bound = float(head[5]) if head[5] else None
    except ValueError:
        raise Corrupt(f"a bound of {head[5]!r}", 1) from None
    first, last = np.zeros(0, np.int64), np.zeros(0, np.int64)
    letters: dict[str, str] = {}
    found: dict[str, NDArray[Any]] = {}
    constants: dict[str, NDArray[Any]] = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            if line.startswith("coarsened: "):
                continue
            if line.startswith("steps: "):
                first, last = read_steps(line[7:], count)
            elif line.startswith("legend: "):
                letters = dict(entry.split("=", 1) for entry in line[8:].split(" "))
            elif line.startswith("constant: "):
                for part in re.findall(r'("(?:[^"\\]|\\.)*"|[^", ]+) ([^",]+)(?:, |$)', line[10:]):
                    constants[legend.restore(part[0], letters)] = read_row(part[1] + f" ={count - 1}", count, dtype)
            else:
                row = re.fullmatch(r'("(?:[^"\\]|\\.)*"|[^" ]+?)(?: (e-?\d+))?: ?(.*)', line)
                if not row:
                    raise ValueError("no row")
                found[legend.restore(row[1], letters)] = read_row(f"{row[2] or ''} {row[3]}".strip(), count, dtype)
        except (ValueError, KeyError, OverflowError) as wrong:
            raise Corrupt(f"line {number} of the text: {wrong}", number) from None
    rows = {**found, **constants}
    if len(rows) != columns or len(first) != count:
        raise Corrupt(f"{len(rows)} names and {len(first)} steps where {columns} and {count} are due", len(lines))
    values = np.stack(list(rows.values()), axis=1) if rows else np.zeros((count, 0), dtype)
    relative = bound if head[6] else None
    return Text(Series(values, list(rows), first, relative, None if head[6] else bound), last)


def read_steps(text: str, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    regular = re.fullmatch(r"(-?\d+) to (-?\d+) by (-?\d+)", text)
    if regular:
        start, stride = int(regular[1]), int(regular[3])
        if start + (count - 1) * stride != int(regular[2]):
            raise ValueError(f"{count} steps by {stride} do not end at {regular[2]}")
        steps = np.array([start + i * stride for i in range(count)], np.int64)
        return steps, steps
    starts, up_to, end = text.partition(UP_TO)
    if up_to:
        first = np.array([int(word) for word in starts.split(" ")], np.int64)
        if len(first) != count:
            raise ValueError(f"{len(first)} steps where {count} are due")
        return first, np.append(first[1:] - 1, int(end))
    pairs = [STEP.fullmatch(word) for word in text.split(" ")]
    if len(pairs) != count or not all(pairs):
        raise ValueError(f"{len(pairs)} steps where {count} are due")
    first = np.array([int(p[1]) for p in pairs if p], np.int64)
    return first, np.array([int(p[2] or p[1]) for p in pairs if p], np.int64)


def read_row(text: str, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    words = text.split(" ") if text else []
    unit = int(words.pop(0)[1:]) if words and words[0].startswith("e") else 0
    values: list[float | int] = []
    for word in words:
        repeat = re.fullmatch(r"=(\d*)", word)
        if repeat:
            if not values or int(repeat[1] or 1) > count - len(values):
                raise ValueError("more values than steps")
            values += [values[-1]] * int(repeat[1] or 1)
        elif dtype.kind == "i":
            values.append(
                int(word.rstrip("!").partition("e")[0]) * 10 ** (unit + int(word.rstrip("!").partition("e")[2] or 0))
            )
        else:
            values.append(numbers.value(word.rstrip("!"), unit))
    if len(values) != count:
        raise ValueError(f"{len(values)} values where {count} are due")
    with np.errstate(over="ignore"):
        return np.array(values, dtype)

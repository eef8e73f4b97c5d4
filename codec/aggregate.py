"""Statistics close in time become one summary, which can be merged with others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import BadArgument

WINDOW_NS = 50_000_000
ACCURACY = 0.01  # of a quantile, relative to its value
_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
_TINY = 1e-300  # magnitudes below are zero to the sketch


@dataclass(frozen=True)
class Summary:
    """What a number of samples were. Merging is associative, and the order of samples and summaries does not matter.

    count: finite samples. not_finite: the others. first, last: with their times; of samples at one time, the
    smaller, NaN being greatest.
    total and squares: exact sums (rounded once, when read): mean and variance do not depend on the order either.
    buckets: how many samples there are of each magnitude, in steps of 2 % (DDSketch, Masson, Rim and Lee, VLDB 2019).
    """

    start_ns: int
    end_ns: int
    first: float
    last: float
    count: int = 0
    not_finite: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    total: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()
    buckets: dict[int, int] = field(default_factory=dict)
    zeros: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, time_ns: int, value: float, functions: Iterable[str] = ()) -> Summary:
        """The summary of one sample; functions: names given to `register`."""
        extra = {name: _lookup(name)[0](time_ns, value) for name in functions}
        base = cls(time_ns, time_ns, value, value, extra=extra)
        if not math.isfinite(value):
            return replace(base, not_finite=1)
        key = _bucket(value)
        return replace(
            base,
            count=1,
            minimum=value + 0.0,
            maximum=value + 0.0,
            total=(value,) if value else (),
            squares=_square(value),
            buckets={key: 1} if key else {},
            zeros=0 if key else 1,
        )

    def merge(self, other: Summary) -> Summary:
        """What both stand for. Raises BadArgument if they have different functions."""
        if self.extra.keys() != other.extra.keys():
            raise BadArgument(f"summaries with different functions: {sorted(self.extra)} and {sorted(other.extra)}")
        buckets = dict(self.buckets)
        for key, n in other.buckets.items():
            buckets[key] = buckets.get(key, 0) + n
        early = min((self.start_ns, _order(self.first)), (other.start_ns, _order(other.first)))
        late = min((-self.end_ns, _order(self.last)), (-other.end_ns, _order(other.last)))
        return Summary(
            early[0],
            -late[0],
            self.first if early == (self.start_ns, _order(self.first)) else other.first,
            self.last if late == (-self.end_ns, _order(self.last)) else other.last,
            self.count + other.count,
            self.not_finite + other.not_finite,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            _sum(self.total, other.total),
            _sum(self.squares, other.squares),
            buckets,
            self.zeros + other.zeros,
            {name: _lookup(name)[1](self.extra[name], other.extra[name]) for name in self.extra},
        )

    @property
    def samples(self) -> int:
        return self.count + self.not_finite

    @property
    def mean(self) -> float:
        """Of the finite samples; NaN if there are none."""
        return math.fsum(self.total) / self.count if self.count else math.nan

    @property
    def variance(self) -> float:
        """Of the finite samples, as of a whole population; NaN if there are none."""
        if not self.count:
            return math.nan
        mean = self.mean
        # sum of squares less n mean**2, the product as two floats: exact but for one rounding.
        scaled = [-part * mean for part in self.total]
        return max(math.fsum((*self.squares, *scaled)) / self.count, 0.0)

    def quantile(self, q: float) -> float:
        """The q-quantile of the finite samples to 1 % of its value; NaN if there are none. Raises BadArgument."""
        if not 0 <= q <= 1:
            raise BadArgument(f"a quantile is from 0 to 1, not {q}")
        if not self.count:
            return math.nan
        rank = q * (self.count - 1)
        seen = 0
        # Negative values have negative keys: the greatest magnitude first, then zero, then the positive.
        entries = sorted([*self.buckets.items(), *([(0, self.zeros)] if self.zeros else [])], key=_bucket_order)
        reached = entries[-1][0]
        for key, n in entries:
            seen += n
            if seen > rank:
                reached = key
                break
        return min(max(_middle(reached), self.minimum), self.maximum)


def _order(value: float) -> tuple[bool, float, float]:
    return (math.isnan(value), 0.0 if math.isnan(value) else value, math.copysign(1.0, value))


def _square(value: float) -> tuple[float, ...]:
    """value**2 as floats whose sum is exact, but for magnitudes whose square overflows or vanishes."""
    square = value * value
    if not math.isfinite(square):
        return (math.copysign(1.7976931348623157e308, 1),)
    scaled = value * 134217729.0  # Veltkamp's split, 2**27 + 1
    if not math.isfinite(scaled):
        return (square,)
    high = scaled - (scaled - value)
    low = value - high
    error = ((high * high - square) + 2 * high * low) + low * low
    return tuple(part for part in (square, error) if part)


def _sum(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
    """The exact sum as the fewest floats, the greatest first: the same whatever the order (Shewchuk 1997)."""
    parts = [*a, *b]
    out: list[float] = []
    while parts:
        try:
            head = math.fsum(parts)
        except OverflowError:
            return (math.inf,)
        if head == 0 or not math.isfinite(head):
            break
        out.append(head)
        parts.append(-head)
        if len(out) > 40:  # 2098 bits hold any sum of floats
            break
    return tuple(out)


def _bucket(value: float) -> int:
    """Signed key of the magnitude, 0 for zero: 1 + the step, so that the sign can be told."""
    size = abs(value)
    if size < _TINY:
        return 0
    key = math.ceil(math.log(size) / _LOG_GAMMA) + 100_000
    return key if value > 0 else -key


def _bucket_order(entry: tuple[int, int]) -> int:
    return entry[0]


def _middle(key: int) -> float:
    if key == 0:
        return 0.0
    step = abs(key) - 100_000
    try:
        size = 2 * math.exp(step * _LOG_GAMMA) / (_GAMMA + 1)
    except OverflowError:
        size = math.inf
    return size if key > 0 else -size


_FUNCTIONS: dict[str, tuple[Callable[[int, float], Any], Callable[[Any, Any], Any]]] = {}


def register(name: str, start: Callable[[int, float], Any], merge: Callable[[Any, Any], Any]) -> None:
    """Adds an aggregation: start(time_ns, value) of one sample, merge of two; merge is associative and commutative."""
    if name in _FUNCTIONS and _FUNCTIONS[name] != (start, merge):
        raise BadArgument(f"an aggregation called {name!r} is there already")
    _FUNCTIONS[name] = (start, merge)


def _lookup(name: str) -> tuple[Callable[[int, float], Any], Callable[[Any, Any], Any]]:
    if name not in _FUNCTIONS:
        raise BadArgument(f"no aggregation is called {name!r}; there are {sorted(_FUNCTIONS)}")
    return _FUNCTIONS[name]


def aggregate(
    samples: Iterable[tuple[int, str, float]], *, window_ns: int = WINDOW_NS, functions: Iterable[str] = ()
) -> dict[tuple[str, int], Summary]:
    """(time_ns, name, value) to one summary for each name and window; the key has the window's start. In any order."""
    if window_ns < 1:
        raise BadArgument(f"a window has at least 1 ns, not {window_ns}")
    names = tuple(functions)
    out: dict[tuple[str, int], Summary] = {}
    for time_ns, name, value in samples:
        key = (name, time_ns - time_ns % window_ns)
        one = Summary.of(time_ns, float(value), names)
        out[key] = out[key].merge(one) if key in out else one
    return out

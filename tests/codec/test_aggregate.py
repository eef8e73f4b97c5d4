"""Summaries merge in any order to the same, and say what they stand for."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.codec import BadArgument, Summary, aggregate, register

SAMPLES = st.lists(st.tuples(st.integers(0, 5), st.floats(width=32)), min_size=1, max_size=20)


def merged(samples: list[tuple[int, float]], shuffle: random.Random) -> Summary:
    """The samples merged as a random tree."""
    parts = [Summary.of(time, value) for time, value in samples]
    while len(parts) > 1:
        a = parts.pop(shuffle.randrange(len(parts)))
        b = parts.pop(shuffle.randrange(len(parts)))
        parts.append(a.merge(b))
    return parts[0]


def plain(summary: Summary) -> str:
    """All of it, NaN equal to NaN."""
    return repr({**vars(summary), "buckets": sorted(summary.buckets.items())})


@given(SAMPLES, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_order_of_merging_does_not_matter(samples: list[tuple[int, float]], shuffle: random.Random) -> None:
    assert plain(merged(samples, shuffle)) == plain(merged(samples[::-1], shuffle))


@given(SAMPLES)
@settings(max_examples=200, deadline=None)
def test_what_a_summary_says(samples: list[tuple[int, float]]) -> None:
    summary = merged(samples, random.Random(0))
    values = np.array([v for _, v in samples])
    finite = values[np.isfinite(values)]
    assert (summary.count, summary.not_finite) == (len(finite), len(values) - len(finite))
    assert summary.samples == len(values)
    assert (summary.start_ns, summary.end_ns) == (min(t for t, _ in samples), max(t for t, _ in samples))
    if not len(finite):
        assert math.isnan(summary.mean)
        assert math.isnan(summary.quantile(0.5))
        return
    assert (summary.minimum, summary.maximum) == (finite.min(), finite.max())
    exact = math.fsum(finite) / len(finite)
    assert summary.mean == exact
    spread = math.fsum((v - exact) ** 2 for v in finite.tolist()) / len(finite)
    assert summary.variance == pytest.approx(spread, rel=1e-9, abs=1e-12 * float(np.abs(finite).max()) ** 2)
    for q in (0.0, 0.25, 0.5, 0.9, 1.0):
        nearest = np.sort(finite)[math.floor(q * (len(finite) - 1))]
        assert summary.quantile(q) == pytest.approx(nearest, rel=0.0101, abs=1e-290)


def test_windows_and_names() -> None:
    samples = [(t, name, float(t)) for t in range(0, 200_000_000, 10_000_000) for name in ("a", "b")]
    found = aggregate(samples)
    assert sorted(found) == [(name, start) for name in ("a", "b") for start in range(0, 200_000_000, 50_000_000)]
    assert found["a", 50_000_000].count == 5
    assert (found["a", 50_000_000].first, found["a", 50_000_000].last) == (5e7, 9e7)
    assert len(aggregate(samples, window_ns=10**9)) == 2
    with pytest.raises(BadArgument):
        aggregate(samples, window_ns=0)


def test_other_functions_by_name() -> None:
    register("test_longest", lambda time_ns, value: abs(value), max)
    found = aggregate([(0, "a", -3.0), (1, "a", 2.0)], functions=["test_longest"])
    assert found["a", 0].extra == {"test_longest": 3.0}
    with pytest.raises(BadArgument, match="no aggregation"):
        aggregate([(0, "a", 1.0)], functions=["test_nothing"])
    with pytest.raises(BadArgument, match="different functions"):
        Summary.of(0, 1.0, ["test_longest"]).merge(Summary.of(0, 1.0))
    with pytest.raises(BadArgument, match="there already"):
        register("test_longest", lambda time_ns, value: value, min)

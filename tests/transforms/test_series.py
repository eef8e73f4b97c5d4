"""Numbers in a line each."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tracewinnow.transforms.change import jumps
from tracewinnow.transforms.series import LATEST_NS, summarise
from tracewinnow.transforms.trace import Series, SpanSummary, SparseSummary
from tracewinnow.transforms.units import number, size


def of(values: list[float], name: str = "loss", statistic: str = "metric", rank: int = -1, start: int = 0) -> Series:
    steps = np.arange(start, start + len(values))
    return Series(name, statistic, rank, steps, np.array(values, np.float64), steps * 10**9)


def smooth(count: int) -> list[float]:
    return [2.0 + 0.01 * np.sin(i) for i in range(count)]


def test_the_step_of_the_first_nan_is_named() -> None:
    [summary] = summarise([of([*smooth(40), float("nan"), float("nan")], start=100)])
    assert summary.text.startswith("loss steps 100-141: 2 → NaN")
    assert "NaN from step 140" in summary.text
    assert summary.weight > 2


def test_an_infinity_is_named() -> None:
    [summary] = summarise([of([*smooth(10), float("inf"), 2.0])])
    assert "inf at step 10, before it 2" in summary.text
    [summary] = summarise([of([*smooth(10), float("inf"), 2.0, float("nan"), 2.0])])
    assert "inf at step 10 and 1 more times" in summary.text
    [summary] = summarise([of([*smooth(10), float("inf"), 2.0, float("nan")])])
    assert "inf from step 10" in summary.text


def test_a_jump_is_named_with_what_was_before_and_after() -> None:
    [summary] = summarise([of([*smooth(40), 50.0, 51.0])])
    assert "jump at step 40 2.01 → 50" in summary.text


def test_a_steady_series_has_no_jump() -> None:
    assert len(jumps(np.array(smooth(500)))) == 0
    assert len(jumps(np.exp(-np.arange(500) / 100))) == 0


def test_layers_of_a_statistic_are_one_line() -> None:
    layers = [of(smooth(60), f"layers.{i}.weight", "grad_norm") for i in range(48)]
    layers[17].values[30:] = np.nan
    layers[18].values[31:] = np.nan
    [summary] = summarise(layers)
    assert summary.text.startswith("48 × grad_norm steps 0-59:")
    assert "NaN from step 30 first in layers.17.weight (2 of 48)" in summary.text
    assert summary.events == 48 * 60


def test_ranks_of_a_metric_are_one_line() -> None:
    [summary] = summarise([of(smooth(20), rank=rank) for rank in range(4)])
    assert "(4 ranks)" in summary.text
    assert summary.ranks == (0, 1, 2, 3)


def test_constants_share_a_line_and_come_last() -> None:
    found = summarise([of([3e-4] * 20, "lr"), of([8.0] * 20, "world"), of(smooth(20))])
    assert found[-1].text == "constant: lr 0.0003, world 8"
    assert len(found) == 2


def test_trouble_comes_first() -> None:
    found = summarise(
        [of(smooth(30), "a"), of([*smooth(30), float("nan")], "z")],
        [SpanSummary("load", "cpu", 4, 10**9, 5 * 10**8, 1, 1, ["OSError: gone"])],
        [SparseSummary("relu", 10, 0.5, 0.01)],
    )
    assert [one.kind for one in found][:2] == ["series", "spans"]
    assert found[0].text.startswith("z ")
    assert "1 errors: OSError: gone" in found[1].text


def test_memory_is_told_in_bytes() -> None:
    [summary] = summarise([of([2**30, 3 * 2**30], "cuda:0", "memory_used")])
    assert summary.kind == "memory"
    assert "1 GiB → 3 GiB" in summary.text


def test_a_rank_that_grows_unlike_the_rest_is_named() -> None:
    ranks = [of([2.0**30 + i for i in range(40)], "host", "memory_used", rank) for rank in range(4)]
    ranks[2].values[:] = np.linspace(2.0**30, 2.0**33, 40)
    [summary] = summarise(ranks)
    assert "unlike the rest: rank 2 8 GiB" in summary.text
    assert summary.weight >= 2
    assert summary.ranks == (2,)


def test_a_jump_of_all_ranks_is_said_once_and_its_moment_known() -> None:
    [summary] = summarise([of([0.1] * 30 + [50.0] * 5, "lr", rank=rank) for rank in range(4)])
    assert "jump at step 30 in all 4 ranks 0.1 → 50" in summary.text
    assert (summary.first_time_ns, summary.last_time_ns) == (29 * 10**9, 30 * 10**9)


def test_of_series_that_cease_to_be_finite_the_first_leads() -> None:
    nan = float("nan")
    found = summarise(
        [of([*smooth(40), nan, nan], "grad"), of([*smooth(39), nan, nan, nan], "loss"), of([*smooth(42)], "x")]
    )
    assert [one.name for one in found][:2] == ["metric loss", "metric grad"]
    assert found[0].weight - found[1].weight > 1


def test_a_series_that_always_jumps_tells_little() -> None:
    values = [*smooth(20), *([20.0, *smooth(30)] * 10)]
    [summary] = summarise([of(values, "throughput")])
    assert summary.weight < 1
    assert "more jumps" in summary.text


def test_names_without_end_and_of_any_length_are_told_shortly() -> None:
    found = summarise([of(smooth(3), f"{n}" + "x" * 1000) for n in range(1500)])
    assert len(found) == 1000
    assert found[-1].text == "501 more series and spans, not told here"
    assert sum(one.events for one in found) == 4500
    assert max(len(one.text) for one in found) == 600


def test_short_numbers() -> None:
    assert [number(x) for x in (0.0, 12.0, 0.000123, 1234567.0, float("nan"), float("-inf"))] == [
        "0", "12", "0.000123", "1.23e6", "NaN", "-inf"
    ]  # fmt: skip
    assert size(1536.0) == "1.5 KiB"


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(np.float64, st.integers(0, 80), elements=st.floats(width=64)))
def test_any_numbers_make_a_line(values: np.ndarray) -> None:
    found = summarise([Series("x", "metric", 0, np.arange(len(values)), values, np.arange(len(values)))])
    assert len(found) == (1 if len(values) else 0)
    assert all(len(one.text) < 400 and "\n" not in one.text for one in found)


def test_a_span_may_say_any_time() -> None:
    (summary,) = summarise([], [SpanSummary("s", "", 1, LATEST_NS, LATEST_NS, LATEST_NS - 5)], [])
    assert summary.last_time_ns == LATEST_NS

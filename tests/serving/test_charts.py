"""Charts of any numbers."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.serving.charts import HEIGHT, WIDTH, choose, draw
from tracewinnow.transforms.trace import Series


def series(values: list[float], name: str = "loss", statistic: str = "metric", rank: int = 0) -> Series:
    count = len(values)
    return Series(name, statistic, rank, np.arange(count), np.array(values, np.float64), np.arange(count))


@settings(deadline=None)
@given(st.lists(st.floats(), min_size=2, max_size=700))
def test_any_numbers_are_drawn_inside_of_the_picture(values: list[float]) -> None:
    [chart] = choose([series(values)])
    picture = ElementTree.fromstring(draw(chart))
    for line in picture.iter("polyline"):
        points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)


def test_what_is_not_finite_is_marked_once_for_all_ranks() -> None:
    values = [*np.linspace(1, 2, 20), float("nan"), float("nan")]
    [chart] = choose([series(values, rank=0), series(values, rank=1)])
    drawn = draw(chart)
    assert drawn.count('class="bad"') == 1
    assert "not finite from step 20 on" in drawn
    assert "ranks 0 to 1" in drawn


def test_a_jump_is_marked() -> None:
    wave = [1 + 0.01 * (step % 3) for step in range(40)]
    [chart] = choose([series([*wave, *(value + 9 for value in wave)])])
    assert re.search(r"<circle.*?jump at step 40: 1(\.\d+)? → 10", draw(chart))


def test_the_telling_ones_come_first() -> None:
    rng = np.random.default_rng(0)
    noise = [series(list(rng.random(50)), name=f"noise {number}") for number in range(20)]
    dead = series([*rng.random(50), float("nan")], name="dead")
    stepped = series([0.1] * 40 + [50.0] * 10, name="lr")
    chosen = choose([*noise, stepped, dead], limit=5)
    assert [chart.name for chart in chosen[:2]] == ["dead", "lr"]
    assert len(chosen) == 5


def test_names_are_escaped() -> None:
    [chart] = choose([series([1, 2], name="<script>alert(1)</script>", statistic="x\"onload='")])
    assert "<script" not in draw(chart)

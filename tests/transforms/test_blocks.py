"""What hangs together is one block."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow import kernels
from tracewinnow.transforms import _blocks, blocks_reference, reading
from tracewinnow.transforms import blocks as b
from tracewinnow.transforms.blocks import MOST, REACH, Outline, blocks, segments
from tracewinnow.transforms.roles import ENDS_IN_COLON, LABELLED, OPENS, ROLE, ROLES, TABLE

# Logs written for the tests, cut where a reader would cut them: a line of %% stands between blocks.
SAMPLES = dict(
    sample.split("\n", 1)
    for sample in f"\n{(Path(__file__).parent / 'block_samples.txt').read_text('utf8')}"[:-1].split("\n@@@@ ")[1:]
)
# Lines around which the rules turn, so that random logs meet them.
LINES = sorted({line for sample in SAMPLES.values() for line in sample.split("\n") if line != "%%"})
LOGS = st.lists(st.sampled_from(LINES), max_size=60)


def of(lines: list[str], ranks: list[int] | None = None) -> list[int]:
    return reading.read(lines, ranks or ()).view.block.tolist()


def whole(sample: str) -> tuple[list[str], list[list[str]]]:
    """The lines of a sample, and how they are to be cut; a blank line that ends nothing stands alone."""
    lines = [line for line in sample.split("\n") if line != "%%"]
    return lines, [part.split("\n") for part in sample.removeprefix("%%\n").split("\n%%\n")]


def cut(lines: list[str], numbers: list[int]) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for line, number in zip(lines, numbers, strict=True):
        found.setdefault(number, []).append(line)
    return list(found.values())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_block_is_whole_and_alone(name: str) -> None:
    lines, parts = whole(SAMPLES[name])
    assert cut(lines, of(lines)) == parts


@pytest.mark.parametrize(
    "prefix",
    ["2024-05-01 10:11:12,123 ", "2024-05-01T10:11:12.123456Z stdout F ", "May  1 10:11:12 node7 trainer[4183]: ", "10:11:12  ",
     "2024-05-01T10:11:12.123456Z 00O ", "\x1b[31m", "[2024-05-01T10:11:12.123Z] ", "web-1  | ", "[12.345678] "],
)  # fmt: skip
@pytest.mark.parametrize("name", ["python, chained", "java", "go", "gcc", "pytest", "torchrun"])
def test_what_stands_before_every_line_does_not_hide_a_block(name: str, prefix: str) -> None:
    lines, parts = whole(SAMPLES[name])
    assert [len(part) for part in cut(lines, of([prefix + line for line in lines]))] == [len(part) for part in parts]


@pytest.mark.parametrize(
    "label",
    ["ERROR 05-01 10:11:12 [core.py:12] ", "E0314 21:38:56.414000 9 torch/elastic/api.py:869] ", "ERROR:root:", "[ERROR] ",
     "trainer - ERROR - "],
)  # fmt: skip
def test_labels_of_logging_do_not_hide_a_block(label: str) -> None:
    lines, parts = whole(SAMPLES["python"])
    assert [len(part) for part in cut(lines, of([label + line for line in lines]))] == [len(part) for part in parts]


@pytest.mark.parametrize(
    ("told", "names"),
    [(False, ["[rank{}]: ", "[default{}]:", "[1,{}]<stderr>: ", "{}: ", "[{}] ", "trainer-{}  | ", "[pod/trainer-{}/main] ",
              "(Trainer pid=41{}) "]), (True, [""])],
)  # fmt: skip
@pytest.mark.parametrize("name", ["python, chained", "java", "go", "rust, panic", "torchrun", "address sanitizer"])
def test_ranks_that_print_at_once_are_told_apart(name: str, told: bool, names: list[str]) -> None:
    lines, parts = whole(SAMPLES[name])
    alone = [len(part) for part in parts]
    for prefix in names:
        mixed = [prefix.format(rank) + line for line in lines for rank in range(3)]
        numbers = of(mixed, [0, 1, 2] * len(lines) if told else None)
        for rank in range(3):
            assert [len(part) for part in cut(lines, numbers[rank::3])] == alone, prefix
        assert not set(numbers[::3]) & set(numbers[1::3])


@settings(max_examples=100, deadline=None)
@given(LOGS, st.data())
def test_a_block_lies_in_one_lane_and_is_named_by_its_first_line(lines: list[str], data: st.DataObject) -> None:
    ranks = data.draw(st.lists(st.integers(-1, 2), min_size=len(lines), max_size=len(lines)))
    numbers = of(lines, ranks)
    assert len(numbers) == len(lines)
    for i, number in enumerate(numbers):
        assert number <= i
        assert numbers[number] == number
        assert ranks[number] == ranks[i]


@settings(max_examples=100, deadline=None)
@given(LOGS)
def test_a_lane_is_cut_as_if_it_were_alone(lines: list[str]) -> None:
    alone = np.array(of(lines, [0] * len(lines)), np.int64)
    mixed = np.array(of([line for line in lines for _ in range(2)], [0, 1] * len(lines)), np.int64)
    assert (mixed[::2] == 2 * alone).all()
    assert (mixed[1::2] == 2 * alone + 1).all()


@settings(max_examples=100, deadline=None)
@given(LOGS)
def test_a_block_has_no_gap_but_for_other_lanes(lines: list[str]) -> None:
    numbers = of(lines, [0] * len(lines))
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("between", ["text", "blank", "rule=", "rule-", "frame"])
@pytest.mark.parametrize("column", [0, 4])
def test_a_block_is_bounded(between: str, column: int) -> None:
    n = 3 * MOST
    for role in range(len(ROLES)):
        roles = np.resize(np.array([role, ROLE[between]], np.uint8), n)
        columns = np.resize(np.array([0, column], np.int32), n)
        for trouble in (False, True):
            ranks = np.full(n, -1, np.int32)
            numbers = blocks(Outline(roles, columns, np.full(n, 40, np.int32), np.full(n, trouble), ranks))
            assert np.bincount(numbers).max() <= MOST


def test_a_block_does_not_reach_for_ever() -> None:
    lines = ["Traceback (most recent call last):", *["x"] * (REACH + 1), '  File "a.py", line 1, in f']
    assert of(lines, [1, *[0] * (REACH + 1), 1])[-1] == len(lines) - 1
    assert of(lines[:1] + lines[2:], [1, *[0] * REACH, 1])[-1] in (0, len(lines) - 2)


def test_no_lines() -> None:
    assert of([]) == []
    assert len(segments(np.zeros(0, np.int64)).first) == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=40))
def test_segments_hold_every_line_once_in_order(numbers: list[int]) -> None:
    found = segments(np.array(numbers, np.int64))
    assert sorted(found.order.tolist()) == list(range(len(numbers)))
    assert found.first.tolist() == sorted(found.first.tolist())
    for segment in range(len(found.first)):
        lines = found.lines(segment).tolist()
        assert lines == sorted(lines)
        assert (lines[0], lines[-1]) == (found.first[segment], found.last[segment])
        assert {numbers[line] for line in lines} == {numbers[lines[0]]}
        assert all(found.of[line] == segment for line in lines)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_kernel_and_reference_agree(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 60))

    def column(values: st.SearchStrategy[int], kind: type) -> np.ndarray:
        return np.array(data.draw(st.lists(values, min_size=n, max_size=n)), kind)

    favoured = st.sampled_from(
        [ROLE[name] for name in ("text", "blank", "rule=", "rule-", "raised", "weak_frame", "bridge", "caret")]
    )
    role = st.one_of(st.integers(0, len(ROLES) - 1), favoured).flatmap(
        lambda r: st.sampled_from([r, r | ENDS_IN_COLON, r | LABELLED])
    )
    flag = st.integers(0, 1)
    at, width = st.sampled_from([0, 0, 2, 4]), st.sampled_from([0, 40, 60])
    each = ((role, np.uint8), (at, np.int32), (width, np.int32), (flag, np.uint8), (flag, np.int64))
    given = [column(*one) for one in each]
    small = {**b._FIXED, "MOST": 24, "REACH": 40, "MESSAGE": 5, "FRAMED": 12, "LISTED": 6}
    for fixed in (b._FIXED, small):
        found = []
        for join in (_blocks.join, blocks_reference.join):
            number, scratch = np.empty(n, np.int64), np.empty(n, np.int64)
            join(*given, 2, TABLE, OPENS, fixed, number, scratch)
            found.append(number.tolist())
        assert found[0] == found[1]


@given(st.lists(st.text(alphabet=" \tab\x0b\u00a0", max_size=40), max_size=5))
def test_columns_of_kernel_and_reference_agree(lines: list[str]) -> None:
    one, other = np.empty(len(lines), np.int32), np.empty(len(lines), np.int32)
    _blocks.columns(lines, one)
    blocks_reference.columns(lines, other)
    assert one.tolist() == other.tolist()


def test_the_environment_chooses_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.kernel.cache_clear()
    try:
        assert b.kernel() is _blocks
        kernels.kernel.cache_clear()
        monkeypatch.setenv("TRACEWINNOW_PURE", "1")
        assert b.kernel() is blocks_reference
        lines, parts = whole(SAMPLES["python, chained"])
        assert cut(lines, of(lines)) == parts
    finally:
        kernels.kernel.cache_clear()


def test_a_missing_kernel_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.kernel.cache_clear()
    monkeypatch.setitem(sys.modules, "tracewinnow.transforms._blocks", None)
    monkeypatch.delattr("tracewinnow.transforms._blocks", raising=False)
    try:
        with pytest.raises(ImportError, match="build_ext --inplace"):
            b.kernel()
    finally:
        kernels.kernel.cache_clear()


def test_time_is_linear() -> None:
    rng = np.random.default_rng(3)

    def seconds(n: int) -> float:
        roles = rng.integers(0, len(ROLES), n).astype(np.uint8)
        columns = rng.integers(0, 9, n).astype(np.int32)
        rank = rng.integers(0, 1 + n // 50, n).astype(np.int32)
        given = Outline(roles, columns, np.full(n, 40, np.int32), rng.random(n) < 0.5, rank)
        start = time.process_time()
        blocks(given)
        return time.process_time() - start

    assert min(seconds(800_000) for _ in range(2)) < 24 * max(min(seconds(100_000) for _ in range(3)), 1e-3)

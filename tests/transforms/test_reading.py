"""What is read of a log hangs on the log alone, not on what was read before in the process."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.transforms import reading
from tracewinnow.transforms.reading import name_of, read
from tracewinnow.transforms.words import bits_of

PARTS = [
    "exit code 0",
    "exit code 3",
    "finished with code 0",
    "finished with code 1",
    "1.2",
    "1.2.3",
    "E1234 ",
    "x error: ",
    '"java.lang.Error"',
    '"a-b"',
    "a.c:12:7",
    "9",
    "é",
    " ",
]
logs = st.lists(st.lists(st.sampled_from(PARTS), max_size=4).map("".join), max_size=6)


def forget() -> None:
    reading._known.clear()
    reading._size = 0


@settings(max_examples=150, deadline=None)
@given(logs, logs)
def test_nothing_is_left_of_another_log(before: list[str], log: list[str]) -> None:
    forget()
    alone = read(log)
    forget()
    read(before)
    after = read(log)
    assert alone.templates == after.templates
    assert np.array_equal(alone.view.bits, after.view.bits)
    assert np.array_equal(alone.view.block, after.view.block)
    assert np.array_equal(alone.names, after.names)


def test_a_code_that_is_not_zero_is_told_behind_one_that_is() -> None:
    lines = ["worker 1 finished with code 0", "worker 2 finished with code 1"]
    assert (read(lines).view.bits & bits_of("exit") != 0).tolist() == [False, True]


@pytest.mark.parametrize(
    "before", [[], ["0 tests found, 3 failed"], ["0 tests found, 3 failed"] * 2, ["7 tests found, 7 failed"]]
)
def test_one_number_may_say_otherwise_than_another_in_the_line(before: list[str]) -> None:
    forget()
    read(before)
    found = read(["0 tests found, 3 failed", "5 tests found, 0 failed"]).view.bits
    assert [bool(bits & bits_of("none")) for bits in found] == [False, True]


def test_what_was_read_before_changes_nothing() -> None:
    line, other = "kept 0 of 100 rows", "kept 5 of 100 rows"
    forget()
    alone = read([line]).view.bits[0]
    forget()
    read([other])
    assert read([line]).view.bits[0] == alone
    assert read([other, line]).view.bits[1] == alone


def test_names_are_those_of_the_templates() -> None:
    found = read(["step 1", "step 2", "other", "step 3"])
    assert [found.template_name(line) for line in range(4)] == [
        name_of(b"step #"),
        name_of(b"step #"),
        name_of(b"other"),
        name_of(b"step #"),
    ]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    monkeypatch.setattr(reading, "REMEMBERED", 10_000)
    monkeypatch.setattr(reading, "AROUND", 0)
    for number in range(50):
        read([f"line {'abcdefghij'[number % 10] * (number + 5)} of its own" for _ in range(3)])
        assert sum(len(template) + len(kind.shape) for template, kind in reading._known.items()) < 11_000


def test_every_line_has_its_template() -> None:
    log = [f"{'a' if i % 3 else 'b'} {i}" for i in range(1000)]
    found = read(log)
    assert found.templates == [b"b #", b"a #"]
    assert found.view.template.tolist() == [int(i % 3 != 0) for i in range(len(log))]

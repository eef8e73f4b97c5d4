"""What the encoder reads: the block, what stands around it, and numbers in the order of their names."""

from __future__ import annotations

import numpy as np

from tracewinnow.transforms.passages import (
    FIRST,
    LAST,
    OTHER_CHARACTERS,
    OWN_CHARACTERS,
    known_names,
    known_of,
    passage,
)
from tracewinnow.transforms.reading import read
from tracewinnow.transforms.score import score

LOG = ["one", "", "two", "three", "four", "RuntimeError: bad", "", "five", "six", "seven"]


def test_blank_lines_around_are_stepped_over() -> None:
    reading = read(LOG)
    found = passage(reading.templates, reading.view.template, [5])
    assert found == ("RuntimeError: bad", "two ; three ; four", "five ; six")


def test_at_the_ends_there_is_nothing_around() -> None:
    reading = read(["only"])
    assert passage(reading.templates, reading.view.template, [0]) == ("only", "", "")


def test_a_long_block_is_its_ends_and_long_lines_are_cut() -> None:
    reading = read([f"row {'abcdefghij'[n]}" for n in range(10)] + ["x" * 999])
    found = passage(reading.templates, reading.view.template, list(range(10)))
    assert found.own.count(";") == FIRST + LAST - 1
    assert found.own.startswith("row a ; row b")
    assert found.own.endswith("row i ; row j")
    assert len(found.behind) == OTHER_CHARACTERS
    assert len(passage(reading.templates, reading.view.template, [10]).own) == OWN_CHARACTERS


def test_numbers_have_names() -> None:
    reading = read(LOG)
    known = known_of(reading.view, score(reading.view))
    assert known.shape == (len(LOG), len(known_names()))
    assert known.dtype == np.float32
    assert known[5, known_names().index("exception")] == 1
    assert known[:, known_names().index("rules_relative")].max() == 0
    assert known_of(read([]).view, np.zeros(0, np.float32)).shape == (0, len(known_names()))

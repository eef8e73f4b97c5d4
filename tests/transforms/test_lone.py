"""Lines that stand alone among repeats."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.transforms.classify import CONTEXT, METADATA
from tracewinnow.transforms.lone import MOST, raised
from tracewinnow.transforms.reading import read
from tracewinnow.transforms.score import Floats
from tracewinnow.transforms.winnow import winnow

ODD = "filter kept few of the rows"


def log(odd: str, times: int = 1, before: int = 60) -> list[str]:
    steps = [f"step {i} loss {1 / (i + 1):.4f}" for i in range(120)]
    return [*steps[:before], *[odd] * times, *steps[before:]]


def worth(lines: list[str], label: int = CONTEXT) -> Floats:
    return raised(np.full(len(lines), -6.0, np.float32), read(lines).view, np.full(len(lines), label, np.int8))


def test_a_line_said_once_amid_steps_is_raised_and_no_step() -> None:
    found = worth(log(ODD))
    assert -6 < found[60] <= MOST
    assert (np.delete(found, 60) == -6).all()


@pytest.mark.parametrize(
    "lines",
    [
        log(ODD, times=3),
        log(ODD, before=5),
        log("    at com.example.Main.run(Main.java:7)"),
        log(""),
        [f"{chr(97 + i % 26)}{chr(97 + i // 26)} is new" for i in range(200)],
        [ODD],
        [],
    ],
    ids=["often", "at the beginning", "a frame", "blank", "all is new", "one line", "nothing"],
)
def test_what_is_not_alone_stays(lines: list[str]) -> None:
    assert (worth(lines) == -6).all()


def test_metadata_stays() -> None:
    assert (worth(log(ODD), METADATA) == -6).all()


def test_what_tells_of_trouble_is_never_lowered() -> None:
    lines = log(ODD)
    value = np.linspace(-9, 9, len(lines)).astype(np.float32)
    found = raised(value, read(lines).view, np.full(len(lines), CONTEXT, np.int8))
    assert (found >= value).all()
    assert value[60] != found[60] or value[60] >= MOST


def test_it_stands_in_a_small_answer() -> None:
    rows = [f"step {i} loss {1 / (i + 1):.4f} lr 0.001 tokens {i * 4096}" for i in range(2000)]
    rows[1200:1200] = ["resume: schedule position past its end"]
    rows += [
        "Traceback (most recent call last):",
        '  File "train.py", line 3, in <module>',
        "RuntimeError: loss does not fall",
    ]
    assert "schedule position" in winnow("\n".join(rows), 300).text

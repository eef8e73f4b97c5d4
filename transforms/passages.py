"""What the encoder reads of a block: its own lines, those before and behind it, and what is known of it in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracewinnow.models.denoiser.message import message
from tracewinnow.transforms.features import END_SIGNALS, ending
from tracewinnow.transforms.score import Floats, View, place_features, signal_matrix
from tracewinnow.transforms.words import NAMES

FIRST, LAST = 4, 2  # lines of a long block
BEFORE, BEHIND = 3, 2  # lines that say something
OWN_CHARACTERS, OTHER_CHARACTERS = 240, 140  # of a line
BETWEEN = " ; "


class Passage(NamedTuple):
    """Masked text of a block and of the lines around it."""

    own: str
    before: str
    behind: str


def passage(templates: Sequence[bytes], template: npt.NDArray[np.int64], lines: Sequence[int]) -> Passage:
    """The passage of a block. templates: masked lines; template: int64[n], each line's number; lines: of the block, ascending."""

    def text(line: int, most: int) -> str:
        whole = message(templates[int(template[line])]).decode("utf8", "replace")
        return whole.strip()[:most]

    def around(line: int, step: int, most: int) -> list[str]:
        found: list[str] = []
        line += step
        while 0 <= line < len(template) and len(found) < most:
            if told := text(line, OTHER_CHARACTERS):
                found.append(told)
            line += step
        return found

    chosen = lines if len(lines) <= FIRST + LAST else [*lines[:FIRST], *lines[-LAST:]]
    return Passage(
        BETWEEN.join(text(line, OWN_CHARACTERS) for line in chosen),
        BETWEEN.join(around(lines[0], -1, BEFORE)[::-1]),
        BETWEEN.join(around(lines[-1], 1, BEHIND)),
    )


def known_of(view: View, rules: Floats) -> Floats:
    """Numbers beside the text, of each line: float32[n, len(known_names())]. rules: float32[n], score of the rules."""
    end = ending(view, np.zeros(len(rules), np.float32), rules)[1:]  # without what the text model says
    columns = [*place_features(view).values(), rules, rules - rules.max(initial=-20)]
    return np.column_stack([signal_matrix(view.bits), *columns, np.tile(end, (len(rules), 1))]).astype(np.float32)


def known_names() -> list[str]:
    """Names of the numbers, in order."""
    empty = View(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32))
    end = [f"end_{name}" for name in ("rules", "worst", *END_SIGNALS)]
    return [*NAMES, *place_features(empty), "rules", "rules_relative", *end]

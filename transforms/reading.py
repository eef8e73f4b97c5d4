"""A trace as the stages see it: visible lines, their templates, signals, blocks and repeats, each worked out once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms import lines as text_lines
from tracewinnow.transforms import signals
from tracewinnow.transforms.blocks import blocks, columns
from tracewinnow.transforms.classify import TROUBLE
from tracewinnow.transforms.mask import masker
from tracewinnow.transforms.roles import role_of
from tracewinnow.transforms.score import Repeats, View, first_lines, repeats

REMEMBERED = 500_000
_signals_of: dict[bytes, int] = {}  # template -> signals of the first line that had it
_roles_of: dict[bytes, int] = {}  # template -> role


@dataclass(slots=True)
class Reading:
    """shown: visible text of each line. templates: distinct masked lines; view.template numbers into it."""

    shown: list[str]
    templates: list[bytes]
    view: View
    repeats: Repeats

    def template_name(self, line: int) -> str:
        """SHA-256 of the masked text, 16 hex digits. line: from 0."""
        return name_of(self.templates[self.view.template[line]])


def name_of(template: bytes) -> str:
    """SHA-256 of a masked line, 16 hex digits."""
    return hashlib.sha256(template).hexdigest()[:16]


def read(lines: Sequence[str], ranks: Sequence[int] = ()) -> Reading:
    """Read the lines of a trace. ranks: of each line, -1 where unknown; empty where none is known."""
    shown = text_lines.visible(lines)
    judged = text_lines.judged(shown)
    numbers, templates = template_numbers(judged)
    bits = signals_of(judged, numbers, templates)
    rank = np.array(ranks if len(ranks) else text_lines.ranks_of(shown), np.int32)
    lane = rank if (rank >= 0).any() else np.array(text_lines.replicas_of(shown), np.int32)
    roles = roles_of(numbers, templates)
    block = blocks(roles, columns(judged, roles), (bits & TROUBLE) != 0, lane)
    view = View(bits, numbers, block, rank)
    return Reading(shown, templates, view, repeats(view))


def template_numbers(judged: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[bytes]]:
    """Number of each line's template, and the templates in order of their first line."""
    if not judged:
        return np.zeros(0, np.int64), []
    masked = masker()("\n".join(judged).encode("utf8", "surrogateescape")).split(b"\n")
    index: dict[bytes, int] = {}
    numbers = np.fromiter((index.setdefault(line, len(index)) for line in masked), np.int64, len(masked))
    return numbers, list(index)


def template_names(lines: Sequence[str]) -> list[str]:
    """Names of the distinct templates of a log."""
    return [name_of(template) for template in template_numbers(text_lines.judged(text_lines.visible(lines)))[1]]


def signals_of(judged: Sequence[str], numbers: npt.NDArray[np.int64], templates: list[bytes]) -> npt.NDArray[np.uint64]:
    """Signals of each line: uint64[n]. Looked at once a template; what hangs on the value of a number, once a line."""
    if len(_signals_of) > REMEMBERED:
        _signals_of.clear()
    first = first_lines(numbers)
    kinds = []
    for template, line in zip(templates, first.tolist(), strict=True):
        found = _signals_of.get(template)
        if found is None:
            found = _signals_of[template] = signals.look(judged[line])
        kinds.append(found)
    bits = np.array(kinds, np.uint64)[numbers] if kinds else np.zeros(0, np.uint64)
    # Without a masked part all lines of a template are one text, and the first was looked at.
    varies = (
        np.fromiter((b"#" in template for template in templates), bool, len(templates))[numbers]
        if templates
        else np.zeros(0, bool)
    )
    varies[first] = False
    for line in np.flatnonzero(varies & ((bits & np.uint64(signals.TROUBLE | signals.COUNTED)) != 0)).tolist():
        known = int(bits[line])
        bits[line] = (known & ~signals.COUNTED) | signals.counted(judged[line], known)
    return bits


def roles_of(numbers: npt.NDArray[np.int64], templates: list[bytes]) -> npt.NDArray[np.uint8]:
    """Role of each line in its block: uint8[n]. Looked at once a template."""
    if len(_roles_of) > REMEMBERED:
        _roles_of.clear()
    kinds = []
    for template in templates:
        found = _roles_of.get(template)
        if found is None:
            found = _roles_of[template] = role_of(template)
        kinds.append(found)
    return np.array(kinds, np.uint8)[numbers] if kinds else np.zeros(0, np.uint8)

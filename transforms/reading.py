"""A trace as the stages see it: visible lines, their templates, signals, blocks and repeats, each worked out once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracewinnow.kernels import kernel
from tracewinnow.transforms import lines as text_lines
from tracewinnow.transforms import signals
from tracewinnow.transforms.blocks import blocks, outline
from tracewinnow.transforms.classify import TROUBLE
from tracewinnow.transforms.mask import reference
from tracewinnow.transforms.ranks import ranks_of, replicas_of
from tracewinnow.transforms.roles import role_of
from tracewinnow.transforms.score import Repeats, View, first_lines, repeats
from tracewinnow.transforms.silence import last_words

REMEMBERED = 128 << 20  # bytes of templates, shapes, and what stands around them:
AROUND = 400  # bytes of a template and its shape as Python holds them, without their text

DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
UNASKED = 2  # whether signals hang on a number is asked when a second line of the template is met: it takes as long as to look

_known: dict[bytes, Kind] = {}
_size = 0  # bytes in it


class Kind(NamedTuple):
    """What is known of a template."""

    signals: int  # of a line of this shape
    role: int
    number: int  # first 64 bits of the SHA-256 of the template
    varies: int  # whether signals hang on the value of a number: 0, 1 or UNASKED
    shape: bytes


@dataclass(slots=True)
class Reading:
    """shown: visible text of each line. templates: distinct masked lines; view.template numbers into it. names: uint64, of each.

    silent: int64, the last words of ranks that fell silent while the others went on.
    """

    shown: list[str]
    templates: list[bytes]
    names: npt.NDArray[np.uint64]
    view: View
    repeats: Repeats
    silent: npt.NDArray[np.int64]

    def template_name(self, line: int) -> str:
        """SHA-256 of the masked text, 16 hex digits. line: from 0."""
        return f"{self.names[self.view.template[line]]:016x}"


def name_of(template: bytes) -> str:
    """SHA-256 of a masked line, 16 hex digits."""
    return hashlib.sha256(template).hexdigest()[:16]


def read(lines: Sequence[str], ranks: Sequence[int] = ()) -> Reading:
    """Read the lines of a trace. ranks: of each line, -1 where unknown; empty where none is known."""
    shown = text_lines.visible(lines)
    judged = text_lines.judged(shown)
    numbers, templates = template_numbers(judged)
    signal, role, names, varies = kinds_of(judged, numbers, templates)
    bits = signals_of(judged, numbers, signal, varies)
    rank = np.array(ranks if len(ranks) else ranks_of(shown), np.int32)
    lane = rank if (rank >= 0).any() else np.array(replicas_of(shown), np.int32)
    block = blocks(outline(judged, role[numbers], (bits & TROUBLE) != 0, lane))
    view = View(bits, numbers, block, rank)
    return Reading(shown, templates, names, view, repeats(view), last_words(rank))


def template_numbers(judged: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[bytes]]:
    """Number of each line's template, and the templates in order of their first line."""
    index = dict[bytes, int]()
    compiled = kernel("transforms._mask")
    if compiled is not None:
        found = np.empty(len(judged), np.int64)
        compiled.number(list(judged), index, found)
        return found, list(index)
    numbers = [index.setdefault(template, len(index)) for template in map(reference, map(_encode, judged))]
    return np.array(numbers, np.int64), list(index)


def _encode(text: str) -> bytes:
    return text.encode() if text.isascii() else text.encode("utf8", "surrogateescape")


def template_names(lines: Sequence[str]) -> list[str]:
    """Names of the distinct templates of a log."""
    return [name_of(template) for template in template_numbers(text_lines.judged(text_lines.visible(lines)))[1]]


def kinds_of(
    judged: Sequence[str], numbers: npt.NDArray[np.int64], templates: list[bytes]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8], npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Signals of the first line, role, name and whether those of others may be different, of each template.

    Remembered from log to log, but never so that a log changes what another one gives: signals hang on the shape of the line.
    """
    lines = [judged[line] for line in first_lines(numbers).tolist()]
    n = len(templates)
    signal, role, name, varies = (
        np.empty(n, np.uint64),
        np.empty(n, np.uint8),
        np.empty(n, np.uint64),
        np.empty(n, np.uint8),
    )
    compiled = kernel("transforms._signals")
    strange = range(n)
    if compiled is not None:
        strange = compiled.recall(_known, templates, lines, signals.LOOKED_AT, signals.TAIL, signal, role, name, varies)
    again = np.bincount(numbers, minlength=n) > 1
    seen = np.ones(n, bool)
    for place in strange:
        kind, shape = _known.get(templates[place]), shape_of(lines[place])
        if kind is None or kind.shape != shape:
            kind = _look(templates[place], kind, lines[place], shape)
            seen[place] = again[place]
        signal[place], role[place], name[place], varies[place] = kind[:4]
    for place in np.flatnonzero((varies == UNASKED) & seen).tolist():
        varies[place] = _ask(templates[place], lines[place], int(signal[place]))
    return signal, role, name, varies == 1


def shape_of(line: str) -> bytes:
    """What signals.look sees of a line, less which digits they are: what hangs on these is looked at again, see signals_of."""
    compiled = kernel("transforms._signals")
    if compiled is not None and line.isascii():
        return bytes(compiled.shape(line, signals.LOOKED_AT, signals.TAIL))
    return _encode(signals.ends(line)).translate(DIGITS)


def _look(template: bytes, known: Kind | None, line: str, shape: bytes) -> Kind:
    global _size
    if _size > REMEMBERED:
        _known.clear()
        _size = 0
    if known is None:
        _size += len(template) + len(shape) + AROUND
        kind = Kind(0, role_of(template), int(name_of(template), 16), 0, shape)
    else:
        kind = known
    kind = kind._replace(signals=signals.look(line), varies=UNASKED if b"#" in template else 0, shape=shape)
    _known[template] = kind
    return kind


def _ask(template: bytes, line: str, bits: int) -> int:
    """Whether a line of the template with other numbers may have other signals; remembered. bits: those of a line of its shape."""
    varies, kind = int(signals.hangs(line, bits)), _known.get(template)
    # It may have been thrown away, or seen in another shape, meanwhile.
    if kind is not None and kind.shape == shape_of(line):
        _known[template] = kind._replace(varies=varies)
    return varies


def signals_of(
    judged: Sequence[str],
    numbers: npt.NDArray[np.int64],
    signal: npt.NDArray[np.uint64],
    varies: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint64]:
    """Signals of each line: uint64[n]. Those of its template, but for what hangs on the value of a number: once a line.

    signal, varies: of each template, the second where these hang on a number.
    """
    bits = signal[numbers]
    for line in np.flatnonzero(varies[numbers]).tolist():
        known = int(bits[line])
        bits[line] = (known & ~signals.COUNTED) | signals.counted(judged[line], known)
    return bits

"""Log text: each template once, its integers apart, every byte kept. FORMAT.md, section 10.

A line is its bytes up to and with a line feed; a carriage return, broken UTF-8 and a missing line feed are bytes
like others.
The template of a line is what is left when its runs of digits are taken out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import ArrayLike, NDArray

from . import container, streams
from .dictionaries import LATEST, dictionary
from .errors import BadArgument, Corrupt, TooNew
from .limits import MAX_BYTES
from .varint import Cursor, section, signed, varint

CHUNK_LINES = 1 << 16
CHUNK_BYTES = 1 << 24  # lines of a chunk together, but for a single longer one
DIGITS = re.compile(rb"[0-9]{1,18}")
TIMES, RANKS = 1, 2  # flags of a chunk


@dataclass(frozen=True)
class Segment:
    """Lines of one template. template: its pieces, between which integers stood. Times and ranks: None if not given."""

    template: tuple[bytes, ...]
    count: int
    first_ns: int | None
    last_ns: int | None
    ranks: tuple[int, ...] | None


@dataclass(frozen=True)
class TextChunk:
    """Some decoded lines, the template of each, and times and ranks if there are any."""

    lines: list[bytes]
    templates: list[tuple[bytes, ...]]
    which: NDArray[np.int64]
    times: NDArray[np.int64] | None
    ranks: NDArray[np.int64] | None


def encode_text(text: bytes, *, times: ArrayLike | None = None, ranks: ArrayLike | None = None) -> bytes:
    """A container of the lines of a text. times (ns) and ranks: an integer for each line. Raises BadArgument."""
    lines = re.findall(rb"[^\n]*\n|[^\n]+", text)
    columns = [_column(times, len(lines), "times"), _column(ranks, len(lines), "ranks")]
    parts = []
    first = 0
    while first < len(lines):
        stop = first + 1
        size = len(lines[first])
        while stop < min(len(lines), first + CHUNK_LINES) and size + len(lines[stop]) <= CHUNK_BYTES:
            size += len(lines[stop])
            stop += 1
        time, rank = (None if c is None else c[first:stop] for c in columns)
        low, span = (0, 0) if time is None else (int(time.min()), int(time.max()) - int(time.min()))
        parts.append((container.DATA, encode_lines(lines[first:stop], time, rank), stop - first, low, span))
        first = stop
    return container.pack(container.TEXT, parts)


def _column(values: ArrayLike | None, count: int, name: str) -> NDArray[np.int64] | None:
    if values is None:
        return None
    array = np.asarray(values)
    if array.shape != (count,) or (count and array.dtype.kind not in "iu"):
        raise BadArgument(f"{name} are {count} integers, one for each line, not {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)


def encode_lines(lines: Sequence[bytes], times: NDArray[np.int64] | None, ranks: NDArray[np.int64] | None) -> bytes:
    """count | flags | dictionary | templates | template of each line | integers | times | ranks."""
    place: dict[tuple[bytes, ...], int] = {}
    which: list[int] = []
    found: list[list[list[int]]] = []
    for line in lines:
        template = tuple(DIGITS.split(line))
        at = place.setdefault(template, len(place))
        if at == len(found):
            found.append([])
        which.append(at)
        # A one before the digits keeps leading zeros.
        found[at].append([int(b"1" + run) for run in DIGITS.findall(line)])
    pieces = bytearray()
    for template in place:
        pieces += varint(len(template)) + b"".join(varint(len(piece)) for piece in template)
    pieces += b"".join(piece for template in place for piece in template)
    integers = bytearray()
    for rows in found:
        # Slot by slot, each value as the difference to the one before in its slot.
        for slot in zip(*rows, strict=True):
            before = 0
            for value in slot:
                integers += signed(value - before)
                before = value
    out = bytearray(varint(len(lines)) + bytes((TIMES * (times is not None) + RANKS * (ranks is not None), LATEST)))
    out += varint(len(place))
    compressor = zstandard.ZstdCompressor(level=9, dict_data=dictionary(LATEST))
    out += section(compressor.compress(bytes(pieces)))
    out += section(streams.entropy_code(np.array(which, np.uint32), streams.ANY))
    out += section(zstandard.compress(bytes(integers), 9))
    for column in (times, ranks):
        if column is not None:
            out += section(streams.entropy_code(column, streams.ANY))
    return bytes(out)


def decode_text(data: bytes | memoryview, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The text, byte for byte. Raises Corrupt, Truncated, TooNew, BadArgument (max_bytes)."""
    return b"".join(line for chunk in read_chunks(data, max_bytes) for line in chunk.lines)


def decode_segments(data: bytes | memoryview, *, max_bytes: int = MAX_BYTES) -> list[Segment]:
    """Each template once: how many lines it has, when the first and the last were, and on which ranks. In order of
    appearance."""
    seen: dict[tuple[bytes, ...], list[Any]] = {}
    for chunk in read_chunks(data, max_bytes):
        for at, template in enumerate(chunk.templates):
            own = np.flatnonzero(chunk.which == at)
            if not len(own):
                continue
            entry = seen.setdefault(template, [0, [], set()])
            entry[0] += len(own)
            if chunk.times is not None:
                entry[1] += [int(chunk.times[own].min()), int(chunk.times[own].max())]
            if chunk.ranks is not None:
                entry[2].update(np.unique(chunk.ranks[own]).tolist())
    return [
        Segment(template, n, min(at, default=None), max(at, default=None), tuple(sorted(ranks)) or None)
        for template, (n, at, ranks) in seen.items()
    ]


def read_chunks(data: bytes | memoryview, max_bytes: int) -> list[TextChunk]:
    view = memoryview(data)
    if container.open_header(view) != container.TEXT:
        raise BadArgument("the container holds no text")
    out: list[TextChunk] = []
    left = max_bytes
    for chunk in container.read_table(view):
        if container.known(chunk.kind, chunk.offset):
            if chunk.kind != container.DATA:
                raise Corrupt("a container of text has data only", chunk.offset)
            out.append(decode_lines(container.payload(view, chunk), left))
            left -= sum(map(len, out[-1].lines))
    return out


def decode_lines(body: Cursor, max_bytes: int) -> TextChunk:
    count = body.varint(CHUNK_LINES)
    flags, version = body.u8(), body.u8()
    if flags > TIMES + RANKS:
        raise body.corrupt(f"unknown flags {flags}")
    try:
        words = dictionary(version)
    except KeyError:
        raise TooNew(f"text with dictionary {version}; this release knows up to {LATEST}: upgrade", body.at) from None
    templates = body.varint(count)
    text = Cursor(streams.expand_up_to(body.part(), max_bytes, words))
    sizes = [[text.varint(max_bytes) for _ in range(text.varint(text.left()))] for _ in range(templates)]
    pieces = [tuple(bytes(text.take(size)) for size in row) for row in sizes]
    text.done()
    if any(not row for row in pieces):
        raise body.corrupt("a template without pieces")
    which = streams.entropy_decode(body.part(), count, np.dtype(np.uint32)).astype(np.int64)
    if count and int(which.max()) >= templates:
        raise body.corrupt("a line has a template that is not there")
    rows = np.bincount(which, minlength=templates).tolist() if templates else []
    sized = [sum(map(len, row)) for row in pieces]
    slots = sum(n * (len(row) - 1) for n, row in zip(rows, pieces, strict=True))
    if sum(n * size for n, size in zip(rows, sized, strict=True)) + slots > max_bytes:
        raise BadArgument(f"the decoded text is above max_bytes={max_bytes}")
    integers = Cursor(streams.expand_up_to(body.part(), min(10 * slots, max_bytes)))
    values: list[list[list[bytes]]] = []
    for n, row in zip(rows, pieces, strict=True):
        columns = []
        for _ in range(len(row) - 1):
            before, column = 0, []
            for _ in range(n):
                before += integers.signed()
                digits = str(before)
                if before < 10 or digits[0] != "1" or len(digits) > 19:
                    raise body.corrupt("an integer that no line can hold")
                column.append(digits[1:].encode())
            columns.append(column)
        values.append(columns)
    integers.done()
    used = [0] * templates
    lines = []
    for at in which.tolist():
        row, i = pieces[at], used[at]
        used[at] += 1
        line = row[0] + b"".join(values[at][k][i] + row[k + 1] for k in range(len(row) - 1))
        lines.append(line)
    extra = [
        streams.entropy_decode(body.part(), count, np.dtype(np.int64)) if flags & flag else None
        for flag in (TIMES, RANKS)
    ]
    body.done()
    return TextChunk(lines, pieces, which, extra[0], extra[1])

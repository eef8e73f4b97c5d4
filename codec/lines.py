"""A chunk of log text: each template once, its integers apart, every byte kept. FORMAT.md, section 10.

A line is its bytes up to and with a line feed; a carriage return, broken UTF-8 and a missing line feed are bytes
like others.
The template of a line is what is left when its runs of digits are taken out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import zstandard
from numpy.typing import NDArray

from . import streams
from .dictionaries import LATEST, dictionary
from .errors import BadArgument, TooNew
from .varint import Cursor, section, signed, varint

CHUNK_LINES = 1 << 16
DIGITS = re.compile(rb"[0-9]{1,18}")
TIMES, RANKS = 1, 2  # flags of a chunk
THING = 100  # bytes that a piece or an integer takes beside its own
SPACE = 1 << 28  # bytes that they may take in any case: a chunk of 2 MB never has more


@dataclass(frozen=True)
class TextChunk:
    """Some decoded lines, the template of each, and times and ranks if there are any. cost: what of max_bytes they
    use."""

    lines: list[bytes]
    templates: list[tuple[bytes, ...]]
    which: NDArray[np.int64]
    times: NDArray[np.int64] | None
    ranks: NDArray[np.int64] | None
    cost: int


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


def most_things(max_bytes: int) -> int:
    """How many pieces and integers there may be in memory at once."""
    return max(SPACE, max_bytes) // THING


def decode_lines(body: Cursor, max_bytes: int, things: int) -> TextChunk:
    """The chunk at the cursor, if its cost is at most max_bytes, and its pieces and integers are at most so many."""
    count = body.varint(CHUNK_LINES)
    flags, version = body.u8(), body.u8()
    if flags > TIMES + RANKS:
        raise body.corrupt(f"unknown flags {flags}")
    try:
        words = dictionary(version)
    except KeyError:
        raise TooNew(f"text with dictionary {version}; this release knows up to {LATEST}: upgrade", body.at) from None
    templates = body.varint(count)
    part = body.part()
    # Beside the pieces there are their numbers and sizes, each of at most ten bytes.
    most = max_bytes + 20 * things
    if streams.stated_size(part) > most:
        raise too_large()
    pieces = read_templates(Cursor(streams.expand_up_to(part, most, words)), templates, things)
    if any(not row for row in pieces):
        raise body.corrupt("a template without pieces")
    which = streams.entropy_decode(body.part(), count, np.dtype(np.uint32)).astype(np.int64)
    if count and int(which.max()) >= templates:
        raise body.corrupt("a line has a template that is not there")
    rows = np.bincount(which, minlength=templates).tolist() if templates else []
    # The least that lines of these templates have. A template without lines and an empty line, which no writer makes,
    # are not free: they would cost a reader time and memory that nothing bounds.
    cost = sum(max(n, 1) * max(sum(map(len, row)) + len(row) - 1, 1) for n, row in zip(rows, pieces, strict=True))
    if cost > max_bytes:
        raise too_large()
    slots = sum(n * (len(row) - 1) for n, row in zip(rows, pieces, strict=True))
    if slots + sum(map(len, pieces)) > things:
        raise too_large()
    integers = Cursor(streams.expand_up_to(body.part(), 10 * slots))
    size = 0
    own = []
    for n, row in zip(rows, pieces, strict=True):
        made = fill(row, n, integers, body)
        size += sum(map(len, made))
        if size > max_bytes:
            raise too_large()
        own.append(iter(made))
    integers.done()
    lines = [next(own[at]) for at in which.tolist()]
    extra = [
        streams.entropy_decode(body.part(), count, np.dtype(np.int64)) if flags & flag else None
        for flag in (TIMES, RANKS)
    ]
    body.done()
    return TextChunk(lines, pieces, which, extra[0], extra[1], max(cost, size))


def too_large() -> BadArgument:
    return BadArgument("the decoded text, or what is needed to make it, is above max_bytes")


def read_templates(text: Cursor, templates: int, things: int) -> list[tuple[bytes, ...]]:
    """So many templates, if they have at most so many pieces."""
    sizes: list[list[int]] = []
    for _ in range(templates):
        pieces = text.varint(text.left())
        things -= pieces
        if things < 0:
            raise too_large()
        sizes.append([text.varint(text.left()) for _ in range(pieces)])
    found = [tuple(bytes(text.take(size)) for size in row) for row in sizes]
    text.done()
    return found


def fill(row: tuple[bytes, ...], count: int, integers: Cursor, body: Cursor) -> list[bytes]:
    """The lines of a template, with their integers between its pieces. body: whose place an error tells."""
    if len(row) == 1:
        return [row[0]] * count
    digits: list[bytes] = []  # slot by slot, as they are stored
    for _ in range(len(row) - 1):
        before = 0
        for _ in range(count):
            before += integers.signed()
            number = str(before)
            if before < 10 or number[0] != "1" or len(number) > 19:
                raise body.corrupt("an integer that no line can hold")
            digits.append(number[1:].encode())
    parts = [b""] * (2 * len(row) - 1)
    parts[::2] = row
    lines = []
    for i in range(count):
        parts[1::2] = digits[i::count]
        lines.append(b"".join(parts))
    return lines

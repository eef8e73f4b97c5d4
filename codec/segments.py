"""Log text as a container, back, and what of it each template tells. FORMAT.md, section 10."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import container
from .errors import BadArgument, Corrupt
from .limits import MAX_BYTES
from .lines import CHUNK_LINES, TextChunk, decode_lines, encode_lines, most_things

CHUNK_BYTES = 1 << 24  # lines of a chunk together, but for a single longer one


@dataclass(frozen=True)
class Segment:
    """Lines of one template. template: its pieces, between which integers stood. Times and ranks: None if not given."""

    template: tuple[bytes, ...]
    count: int
    first_ns: int | None
    last_ns: int | None
    ranks: tuple[int, ...] | None


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
    if array.dtype.kind == "u" and count and int(array.max()) >= 1 << 63:
        raise BadArgument(f"one of the {name} is beyond 63 bits")
    return array.astype(np.int64)


def decode_text(data: bytes | memoryview, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The text, byte for byte. Raises Corrupt, Truncated, TooNew, BadArgument (max_bytes)."""
    return b"".join([b"".join(chunk.lines) for chunk in read_chunks(data, max_bytes)])


@dataclass
class Found:
    """What is known so far of a template's lines."""

    count: int
    first_ns: int | None
    last_ns: int | None
    ranks: set[int]

    def add(self, count: int, times: NDArray[np.int64] | None, ranks: NDArray[np.int64] | None) -> None:
        self.count += count
        if times is not None:
            first, last = int(times.min()), int(times.max())
            self.first_ns = first if self.first_ns is None else min(self.first_ns, first)
            self.last_ns = last if self.last_ns is None else max(self.last_ns, last)
        if ranks is not None:
            self.ranks.update(np.unique(ranks).tolist())


def decode_segments(data: bytes | memoryview, *, max_bytes: int = MAX_BYTES) -> list[Segment]:
    """Each template once: how many lines it has, when the first and the last were, and on which ranks. In order of
    appearance. Raises what decode_text does; the text counts although it is not kept."""
    seen: dict[tuple[bytes, ...], Found] = {}
    things = most_things(max_bytes)  # pieces and ranks, and a few for each template
    for chunk in read_chunks(data, max_bytes):
        order = np.argsort(chunk.which, kind="stable")
        edges = np.searchsorted(chunk.which[order], np.arange(len(chunk.templates) + 1)).tolist()
        for template, first, stop in zip(chunk.templates, edges[:-1], edges[1:], strict=True):
            if first == stop:
                continue
            if template not in seen:
                seen[template] = Found(0, None, None, set())
                things -= len(template) + 5
            found, own = seen[template], order[first:stop]
            things += len(found.ranks)
            found.add(
                stop - first,
                None if chunk.times is None else chunk.times[own],
                None if chunk.ranks is None else chunk.ranks[own],
            )
            things -= len(found.ranks)
            if things < 0:
                raise BadArgument(f"the templates of the text are above max_bytes={max_bytes}")
    return [
        Segment(template, found.count, found.first_ns, found.last_ns, tuple(sorted(found.ranks)) or None)
        for template, found in seen.items()
    ]


def read_chunks(data: bytes | memoryview, max_bytes: int) -> Iterator[TextChunk]:
    """The chunks one by one, as long as they cost no more than max_bytes together."""
    view = memoryview(data)
    if container.open_header(view) != container.TEXT:
        raise BadArgument("the container holds no text")
    left = max_bytes
    for chunk in container.read_table(view):
        if container.known(chunk.kind, chunk.offset):
            if chunk.kind != container.DATA:
                raise Corrupt("a container of text has data only", chunk.offset)
            lines = decode_lines(container.payload(view, chunk), left, most_things(max_bytes))
            left -= lines.cost
            yield lines

"""Timeline spans: what ran on which track, from when, for how long. FORMAT.md, section 11."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from . import container, streams
from .errors import BadArgument, Corrupt
from .limits import MAX_BYTES
from .varint import Cursor, section, varint

MAX_WORDS = 1 << 20
CHUNK = 1 << 16  # spans of a chunk
SPAN = 100  # bytes that a span takes beside its words


@dataclass(frozen=True)
class Span:
    """name and track (a rank, a stream, a thread) as text; start and duration in nanoseconds, int64."""

    name: str
    start_ns: int
    duration_ns: int
    track: str = ""


def encode_spans(spans: Sequence[Span]) -> bytes:
    """A container of spans, in the order given. Raises BadArgument."""
    parts = []
    for first in range(0, len(spans), CHUNK):
        some = spans[first : first + CHUNK]
        low = min(span.start_ns for span in some)
        body = encode_chunk(some)
        parts.append((container.DATA, body, len(some), low, max(span.start_ns for span in some) - low))
    return container.pack(container.SPANS, parts)


def encode_chunk(spans: Sequence[Span]) -> bytes:
    """count | words | name of each span | track of each | starts | durations."""
    words = {word: i for i, word in enumerate(dict.fromkeys(w for span in spans for w in (span.name, span.track)))}
    try:
        encoded = [word.encode("utf-8", "surrogateescape") for word in words]
    except UnicodeEncodeError as wrong:
        raise BadArgument(f"name or track of a span is no text: {wrong}") from None
    text = b"".join(map(varint, map(len, encoded))) + b"".join(encoded)
    try:
        columns: list[NDArray[Any]] = [
            np.array([words[span.name] for span in spans], np.uint32),
            np.array([words[span.track] for span in spans], np.uint32),
            np.array([span.start_ns for span in spans], np.int64),
            np.array([span.duration_ns for span in spans], np.int64),
        ]
    except OverflowError:
        raise BadArgument("start and duration of a span are within 64 bits") from None
    out = bytearray(varint(len(spans)) + varint(len(words)) + section(zstandard.compress(text, 9)))
    for column in columns:
        out += section(streams.entropy_code(column, streams.ANY))
    return bytes(out)


def decode_spans(data: bytes | memoryview, *, max_bytes: int = MAX_BYTES) -> list[Span]:
    """The spans of a container. Raises Corrupt, Truncated, TooNew, BadArgument (max_bytes)."""
    view = memoryview(data)
    if container.open_header(view) != container.SPANS:
        raise BadArgument("the container holds no spans")
    out: list[Span] = []
    left = max_bytes
    for chunk in container.read_table(view):
        if container.known(chunk.kind, chunk.offset):
            if chunk.kind != container.DATA:
                raise Corrupt("a container of spans has data only", chunk.offset)
            found, cost = decode_chunk(container.payload(view, chunk), left)
            left -= cost
            out += found
    return out


def decode_chunk(body: Cursor, max_bytes: int) -> tuple[list[Span], int]:
    """The spans of the chunk at the cursor, and what of max_bytes they use."""
    count = body.varint(CHUNK)
    words = body.varint(min(2 * count, MAX_WORDS))
    cost = SPAN * count
    if cost > max_bytes:
        raise too_large()
    part = body.part()
    if cost + streams.stated_size(part) > max_bytes:
        raise too_large()
    text = Cursor(streams.expand_up_to(part, max_bytes))
    sizes = [text.varint() for _ in range(words)]
    names = [bytes(text.take(size)).decode("utf-8", "surrogateescape") for size in sizes]
    text.done()
    # As Python holds them: of a word with characters beyond Latin-1, each takes two or four bytes.
    cost += sum(map(sys.getsizeof, names))
    if cost > max_bytes:
        raise too_large()
    name = streams.entropy_decode(body.part(), count, np.dtype(np.uint32))
    track = streams.entropy_decode(body.part(), count, np.dtype(np.uint32))
    start = streams.entropy_decode(body.part(), count, np.dtype(np.int64))
    duration = streams.entropy_decode(body.part(), count, np.dtype(np.int64))
    body.done()
    if count and max(int(name.max()), int(track.max())) >= words:
        raise body.corrupt("a span has a name that is not there")
    spans = [
        Span(names[n], s, d, names[t])
        for n, s, d, t in zip(name.tolist(), start.tolist(), duration.tolist(), track.tolist(), strict=True)
    ]
    return spans, cost


def too_large() -> BadArgument:
    return BadArgument("the decoded spans are above max_bytes")

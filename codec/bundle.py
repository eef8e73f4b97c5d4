"""Bundles: several containers in one, each with labels that say what it is. FORMAT.md, section 15."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from . import container
from .errors import BadArgument, Corrupt
from .varint import Cursor, section, varint

MAX_PARTS = 1 << 16
MAX_LABELS = 64  # of a part
MAX_LABEL_BYTES = 1 << 16  # of a key, and of a value


class Part(NamedTuple):
    """labels: what the part is, in words of whoever wrote it. data: a whole container, to be read by its own kind's reader."""

    labels: dict[str, str]
    data: memoryview


def encode_bundle(parts: Iterable[tuple[Mapping[str, str], bytes]]) -> bytes:
    """A container of (labels, container), in the order given. Raises BadArgument.

    >>> from tracewinnow.codec import encode_series
    >>> data = encode_bundle([({"kind": "loss"}, encode_series([1.0, 0.5]))])
    >>> [part.labels["kind"] for part in decode_bundle(data)]
    ['loss']
    """
    frames = [(container.DATA, encode_part(labels, data), 1, 0, 0) for labels, data in parts]
    if len(frames) > MAX_PARTS:
        raise BadArgument(f"{len(frames)} parts; at most {MAX_PARTS} are allowed")
    return container.pack(container.BUNDLE, frames)


def encode_part(labels: Mapping[str, str], data: bytes) -> bytes:
    """varint labels | key and value of each, keys rising | container."""
    if container.open_header(memoryview(data)) == container.BUNDLE:
        raise BadArgument("a bundle holds no bundles")
    if len(labels) > MAX_LABELS:
        raise BadArgument(f"{len(labels)} labels; a part has at most {MAX_LABELS}")
    try:
        pairs = sorted(tuple(w.encode("utf-8", "surrogateescape") for w in pair) for pair in labels.items())
    except UnicodeEncodeError as wrong:
        raise BadArgument(f"a label is no text: {wrong}") from None
    out = bytearray(varint(len(pairs)))
    for pair in pairs:
        for word in pair:
            if len(word) > MAX_LABEL_BYTES:
                raise BadArgument(f"a label has {len(word)} bytes; at most {MAX_LABEL_BYTES} are allowed")
            out += section(word)
    return bytes(out) + data


def decode_bundle(data: bytes | memoryview) -> Iterator[Part]:
    """The parts of a bundle, one by one, without a copy: what is not taken is not read.

    Raises Corrupt, Truncated, TooNew, and BadArgument for a container of another content; what is inside of a part is for
    its reader to judge.
    """
    view = memoryview(data)
    if container.open_header(view) != container.BUNDLE:
        raise BadArgument("the container is no bundle")
    chunks = container.read_table(view)
    if len(chunks) > MAX_PARTS:
        raise Corrupt(f"{len(chunks)} parts, at most {MAX_PARTS} are allowed", len(view))
    return (part(view, chunk) for chunk in chunks if container.known(chunk.kind, chunk.offset))


def part(view: memoryview, chunk: container.Chunk) -> Part:
    if chunk.kind != container.DATA:
        raise Corrupt("a bundle has data only", chunk.offset)
    body = container.payload(view, chunk)
    labels: dict[str, str] = {}
    before: bytes | None = None
    for _ in range(body.varint(MAX_LABELS)):
        key = bytes(read_word(body))
        if before is not None and key <= before:
            raise body.corrupt("the keys of the labels do not rise")
        before = key
        try:
            value = bytes(read_word(body)).decode("utf-8", "surrogateescape")
            labels[key.decode("utf-8", "surrogateescape")] = value
        except UnicodeDecodeError:
            raise body.corrupt("a label is not UTF-8") from None
    inner = body.take(body.left())
    if container.open_header(inner) == container.BUNDLE:
        raise body.corrupt("a bundle in a bundle")
    return Part(labels, inner)


def read_word(body: Cursor) -> memoryview:
    return body.take(body.varint(MAX_LABEL_BYTES))

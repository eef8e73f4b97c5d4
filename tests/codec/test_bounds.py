"""max_bytes bounds what a reader of text or spans makes of a file: small files made to become large ones."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import zstandard

from tracewinnow.codec import (
    BadArgument,
    Span,
    container,
    decode_segments,
    decode_spans,
    decode_text,
    encode_spans,
    encode_text,
    lines,
    streams,
)
from tracewinnow.codec.dictionaries import LATEST, dictionary
from tracewinnow.codec.varint import section, varint

MOST = 1 << 16


def coded(numbers: np.ndarray) -> bytes:
    return section(streams.entropy_code(numbers, streams.ANY))


def text(templates: list[list[bytes]], which: np.ndarray, chunks: int, ranks: np.ndarray | None = None) -> bytes:
    """So many equal chunks of text whose templates are given, and have no integers."""
    told = b"".join(varint(len(row)) + b"".join(varint(len(piece)) for piece in row) for row in templates)
    told += b"".join(piece for row in templates for piece in row)
    compressor = zstandard.ZstdCompressor(level=9, dict_data=dictionary(LATEST))
    body = varint(len(which)) + bytes((2 * (ranks is not None), LATEST)) + varint(len(templates))
    body += section(compressor.compress(told)) + coded(which.astype(np.uint32)) + section(zstandard.compress(b""))
    body += b"" if ranks is None else coded(ranks)
    return container.pack(container.TEXT, [(container.DATA, body, len(which), 0, 0)] * chunks)


def spans(word: bytes, chunks: int) -> bytes:
    """So many chunks of one span with this word."""
    body = varint(1) + varint(1) + section(zstandard.compress(varint(len(word)) + word, 9))
    body += coded(np.zeros(1, np.uint32)) * 2 + coded(np.zeros(1, np.int64)) * 2
    return container.pack(container.SPANS, [(container.DATA, body, 1, 0, 0)] * chunks)


FILES: dict[str, Callable[[], bytes]] = {
    "a large template that no line has": lambda: text([[b"a"], [bytes(MOST - 9)]], np.zeros(2), 50),
    "pieces that no line has": lambda: text([[b"a"], [b""] * 4_000], np.zeros(2), 99),
    "more pieces than there is room for": lambda: text([[b"a"], [b""] * 20_000], np.zeros(2), 1),
    "templates that no line has": lambda: text([[b""]] * 4_096, np.zeros(4_096), 99),
    "lines of nothing": lambda: text([[b""]], np.zeros(65_536), 10),
    "a long word in each chunk": lambda: spans(bytes(MOST - 9), 50),
    "a long word of wide characters": lambda: spans("\U0001f525".encode() + bytes(MOST - 9), 1),
}


@pytest.mark.parametrize("name", FILES)
def test_a_small_file_does_not_become_a_large_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "SPACE", 1 << 20)
    data = FILES[name]()
    assert len(data) < 100_000
    reader = decode_spans if container.open_header(memoryview(data)) == container.SPANS else decode_text
    tracemalloc.start()
    try:
        with pytest.raises(BadArgument, match="max_bytes"):
            reader(data, max_bytes=MOST)
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


def test_a_rank_for_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks that count up are a few bytes, and a hundred bytes each to whoever keeps them."""
    data = text([[b"\n"]], np.zeros(65_536), 3, np.arange(65_536))
    assert decode_segments(data, max_bytes=1 << 18)[0].count == 3 * 65_536  # the same ranks in each chunk
    monkeypatch.setattr(lines, "SPACE", 1 << 20)
    with pytest.raises(BadArgument, match="max_bytes"):
        decode_segments(data, max_bytes=1 << 18)


def test_integers_are_longer_than_the_least_a_line_has() -> None:
    data = encode_text(b"".join(b"%018d\n" % i for i in range(10_000)))
    assert len(decode_text(data, max_bytes=190_000)) == 190_000
    with pytest.raises(BadArgument, match="max_bytes"):
        decode_text(data, max_bytes=189_999)


def test_what_was_written_is_read_with_no_more_than_it_has() -> None:
    """The bound is the size of the text, however many pieces and integers it has."""
    rng = np.random.default_rng(0)
    for line in (
        b"1 " * 50_000,
        b"1",
        b"",
        b"x",
        b"".join(b"%d%c" % (n, 65 + n % 26) for n in rng.integers(0, 99, 9999)),
    ):
        for whole in (line, line + b"\n", (line[:2000] + b"\n") * 50):
            data = encode_text(whole)
            assert decode_text(data, max_bytes=len(whole)) == whole
            assert sum(segment.count for segment in decode_segments(data, max_bytes=len(whole))) == whole.count(
                b"\n"
            ) + (not whole.endswith(b"\n") and whole != b"")
            if whole:
                with pytest.raises(BadArgument, match="max_bytes"):
                    decode_text(data, max_bytes=len(whole) - 1)


def test_many_numbers_in_one_chunk_need_a_larger_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "SPACE", 1 << 20)
    whole = b"1 " * 10_000
    with pytest.raises(BadArgument, match="max_bytes"):
        decode_text(encode_text(whole), max_bytes=len(whole))
    assert decode_text(encode_text(whole)) == whole


def test_words_count_beside_spans() -> None:
    some = [Span("x" * 1000, i, 1) for i in range(3)]
    data = encode_spans(some)
    assert decode_spans(data, max_bytes=2000) == some
    with pytest.raises(BadArgument, match="max_bytes"):
        decode_spans(data, max_bytes=1300)

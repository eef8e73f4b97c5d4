"""Log text comes back byte for byte; templates are told with count, times and ranks. Spans come back too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.codec import (
    BadArgument,
    Span,
    decode_segments,
    decode_spans,
    decode_text,
    encode_spans,
    encode_text,
)
from tracewinnow.codec.segments import read_chunks

PIECES = st.sampled_from(
    [b"step 12 loss 0.003", b"\r\n", b"\n", b"\r", b"\xff\xfe", b"007", b"9" * 40, b"\x00", b"rank 3"]
)


@given(st.lists(PIECES | st.binary(max_size=8), max_size=40).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_every_byte_comes_back(text: bytes) -> None:
    assert decode_text(encode_text(text)) == text


def test_more_lines_than_a_chunk_holds() -> None:
    text = b"".join(b"step %d\n" % i for i in range(150_000))
    data = encode_text(text, times=np.arange(150_000), ranks=np.arange(150_000) % 3)
    assert decode_text(data) == text
    assert len(data) < len(text) / 30
    (segment,) = decode_segments(data)
    assert (segment.template, segment.count) == ((b"step ", b"\n"), 150_000)
    assert (segment.first_ns, segment.last_ns, segment.ranks) == (0, 149_999, (0, 1, 2))


def test_segments_without_times_and_ranks() -> None:
    first, second = decode_segments(encode_text(b"a 1\nb\na 2\n"))
    assert (first.count, first.first_ns, first.ranks) == (2, None, None)
    assert second.template == (b"b\n",)


def test_a_bound_on_what_is_made() -> None:
    data = encode_text(b"x" * 1000 + b"\n")
    with pytest.raises(BadArgument, match="max_bytes"):
        decode_text(encode_text((b"x" * 1000 + b"\n") * 1000), max_bytes=5000)
    assert len(decode_text(data, max_bytes=5000)) == 1001
    with pytest.raises(BadArgument):
        encode_text(b"a\nb\n", times=[1])


@pytest.mark.parametrize("name", ["times", "ranks"])
def test_integers_beyond_63_bits(name: str) -> None:
    for values in (np.array([1, 2**63], np.uint64), [1.5, 2], [1]):
        with pytest.raises(BadArgument, match=name):
            encode_text(b"a\nb\n", **{name: values})
    most = np.array([0, 2**63 - 1], np.uint64)
    (chunk,) = read_chunks(encode_text(b"a\nb\n", times=most, ranks=most), 1000)
    assert chunk.times is not None
    assert chunk.times.tolist() == most.tolist()


def test_templates_told_over_many_chunks() -> None:
    text = b"".join(b"a %d\n" % i if i % 3 else b"b\n" for i in range(100_000))
    a, b = sorted(
        decode_segments(encode_text(text, times=-np.arange(100_000), ranks=np.arange(100_000) % 6)),
        key=lambda segment: segment.template,
    )
    assert (a.count, a.first_ns, a.last_ns, a.ranks) == (66_666, -99_998, -1, (1, 2, 4, 5))
    assert (b.count, b.first_ns, b.last_ns, b.ranks) == (33_334, -99_999, 0, (0, 3))


@given(
    st.lists(
        st.builds(
            Span,
            st.text(max_size=3),
            st.integers(-(2**62), 2**62),
            st.integers(0, 2**62),
            st.sampled_from(["", "rank0", "é"]),
        ),
        max_size=30,
    )
)
@settings(max_examples=100, deadline=None)
def test_spans_come_back(spans: list[Span]) -> None:
    assert decode_spans(encode_spans(spans)) == spans


def test_spans_that_cannot_be() -> None:
    with pytest.raises(BadArgument):
        encode_spans([Span("a", 2**63, 1)])
    for span in (Span("\ud800", 1, 1), Span("a", 1, 1, "x\udfff")):
        with pytest.raises(BadArgument, match="no text"):
            encode_spans([span])

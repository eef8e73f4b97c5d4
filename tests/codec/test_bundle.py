"""Containers in a container: what went in comes out, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.codec import (
    BadArgument,
    CodecError,
    Corrupt,
    Span,
    Truncated,
    container,
    decode_bundle,
    decode_series,
    decode_spans,
    encode_bundle,
    encode_series,
    encode_spans,
)

SERIES = encode_series(np.array([[1.5], [np.nan]], np.float32), names=["a"], steps=[3, 4])
DATA = encode_bundle([({"kind": "loss", "rank": "0"}, SERIES), ({}, encode_spans([Span("load", 5, 7)]))])


def test_parts_come_back_in_order_with_their_labels() -> None:
    first, second = decode_bundle(DATA)
    assert first.labels == {"kind": "loss", "rank": "0"}
    assert bytes(first.data) == SERIES
    assert decode_series(first.data).names == ["a"]
    assert second.labels == {}
    assert decode_spans(second.data) == [Span("load", 5, 7)]
    assert list(decode_bundle(encode_bundle([]))) == []


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=8))
@settings(deadline=None)
def test_any_labels(labels: dict[str, str]) -> None:
    [part] = decode_bundle(encode_bundle([(labels, SERIES)]))
    assert part.labels == labels


def test_one_byte_form() -> None:
    """As FORMAT.md says it: a reader of five lines."""
    assert DATA[:8] == b"\x93TWC\x01\x05\x00\x00"
    payload = b"\x02" + b"\x04kind" + b"\x04loss" + b"\x04rank" + b"\x010" + SERIES
    assert DATA[8] == container.DATA
    assert DATA[11 : 11 + len(payload)] == payload


def test_every_beginning_and_every_flipped_byte_is_noticed() -> None:
    for size in range(len(DATA)):
        with pytest.raises((Truncated, Corrupt)):
            list(decode_bundle(DATA[:size]))
    for at in range(len(DATA)):
        changed = bytearray(DATA)
        changed[at] ^= 0x55
        with pytest.raises(CodecError):
            list(decode_bundle(bytes(changed)))


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"\x41" + SERIES, Corrupt),  # 65 labels
        (b"\x01\x01a", Truncated),
        (b"\x02\x01b\x00\x01a\x00" + SERIES, Corrupt),  # keys fall
        (b"\x02\x01a\x00\x01a\x00" + SERIES, Corrupt),
        (b"\x01\x81\x80\x04" + SERIES, Corrupt),  # a key of 2^16 + 1 bytes
        (b"\x00", Truncated),
        (b"\x00" + DATA, Corrupt),  # a bundle in a bundle
        (b"\x00xxxxxxxxx", Corrupt),
    ],
)
def test_what_is_no_part(payload: bytes, error: type[CodecError]) -> None:
    with pytest.raises(error):
        list(decode_bundle(container.pack(container.BUNDLE, [(container.DATA, payload, 1, 0, 0)])))


def test_bad_arguments() -> None:
    with pytest.raises(BadArgument, match="no bundles"):
        encode_bundle([({}, DATA)])
    with pytest.raises(BadArgument, match="labels"):
        encode_bundle([({str(i): "" for i in range(65)}, SERIES)])
    with pytest.raises(BadArgument, match="bytes"):
        encode_bundle([({"a": "x" * 65537}, SERIES)])
    with pytest.raises(BadArgument, match="parts"):
        encode_bundle(({}, SERIES) for _ in range(65537))
    with pytest.raises(BadArgument, match="no text"):
        encode_bundle([({"a": "\ud800"}, SERIES)])
    with pytest.raises(BadArgument, match="no bundle"):
        decode_bundle(SERIES)
    with pytest.raises(Corrupt):
        encode_bundle([({}, b"no container")])

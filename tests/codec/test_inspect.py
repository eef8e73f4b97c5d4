"""What is said of a container without decoding it, and of bytes that are none."""

import contextlib

import numpy as np
import pytest

from tracewinnow.codec import (
    BadArgument,
    CodecError,
    Corrupt,
    Span,
    container,
    encode_bundle,
    encode_series,
    encode_spans,
    encode_sparse,
    encode_text,
    entropy,
    tile,
)
from tracewinnow.codec.inspect import add_tile, describe
from tracewinnow.codec.varint import Cursor, section, signed, varint

META = bytes([1]) + varint(4) + b"\0\0"
NORMS = np.exp(np.random.default_rng(0).normal(size=(1000, 4)).cumsum(0) / 20).astype(np.float32)


def packed(body: bytes) -> bytes:
    """A series of four columns with one chunk."""
    return container.pack(container.SERIES, [(container.META, META, 0, 0, 0), (container.DATA, body, 1, 0, 0)])


def test_every_byte_is_accounted_for() -> None:
    data = encode_series(NORMS, rel_error=1e-3)
    found = describe(data)
    assert (found["content"], found["bytes"], found["names"], found["steps"]) == ("series", len(data), 4, 1000)
    assert len(found["series"]) == 4
    assert found["chunks"][-1]["offset"] + found["chunks"][-1]["bytes"] < len(data)
    assert 0 < sum(row["bytes_per_sample"] for row in found["series"]) / 4 <= found["bytes_per_sample"]
    for data in (encode_sparse(np.eye(3, dtype=np.float32)), encode_text(b"a\n"), encode_spans([])):
        assert describe(data)["bytes"] == len(data)


def test_the_parts_of_a_bundle() -> None:
    series, spans = encode_series(NORMS, abs_error=0.1), encode_spans([Span("a", 1, 2)])
    found = describe(encode_bundle([({"n": "1"}, series), ({"n": "2"}, spans)]))
    assert found["parts"] == [
        {
            "labels": {"n": "1"}, "content": "series", "bytes": len(series), "dtype": "float32", "names": 4, "steps": 1000,
            "abs_error": 0.1,
        },
        {"labels": {"n": "2"}, "content": "spans", "bytes": len(spans)},
    ]  # fmt: skip
    with pytest.raises(CodecError):
        describe(encode_bundle([({}, spans[:-1])]))


@pytest.mark.parametrize("steps", [1 << 28, 1 << 45, 1 << 57])
def test_a_chunk_of_more_steps_than_there_may_be(steps: int) -> None:
    """A few bytes that asked for gigabytes."""
    with pytest.raises(Corrupt, match="above the limit"):
        describe(packed(varint(0) + varint(steps) + b"\1" + signed(0) + signed(0)))


def test_a_tile_of_another_shape_than_its_chunk() -> None:
    head = varint(0) + varint(5) + b"\1" + signed(0) + signed(1)
    for shape in ((5, 3), (5, 7), (4, 4)):
        with pytest.raises(Corrupt, match="the tile is not of 5 steps and 4 columns"):
            describe(packed(head + section(varint(shape[0]) + varint(shape[1]) + b"\1" + bytes(60))))


def test_a_tile_with_any_byte_changed_is_told_or_refused() -> None:
    """Streams that are not there, models of another size, sections that end too early."""
    coded = tile.encode(NORMS, 1e-3)
    for at in range(400):
        for change in (1, 0x80, 0xFF):
            broken = bytearray(coded)
            broken[at] ^= change
            with contextlib.suppress(CodecError):  # anything else is a failure
                add_tile(Cursor(broken), 1000, NORMS.dtype, np.zeros(4), [set() for _ in range(4)])


def test_models_that_are_not_right() -> None:
    raw = entropy.dump(entropy.Models(*(np.array([n], np.uint8) for n in (3, 5)), np.eye(1, 256, 7, np.uint16) * 4096))
    assert entropy.load(raw, 1, 32).shifts.tolist() == [3]
    for wrong in (b"", raw[:-1], raw + b"\0", raw[:3], raw[:4], bytes([40]) + raw[1:], raw[:-1] + b"\x11"):
        with pytest.raises(ValueError, match=r"model|frequencies|argument"):
            entropy.load(wrong, 1, 32)


def test_more_series_than_the_bound_has_room_to_tell_of() -> None:
    """A million columns are a few bytes, and a gigabyte of text."""
    data = container.pack(container.SERIES, [(container.META, bytes([1]) + varint(1 << 20) + b"\0\0", 0, 0, 0)])
    with pytest.raises(BadArgument, match="1048576 series"):
        describe(data, max_bytes=1 << 24)
    found = describe(encode_bundle([({}, data)]), max_bytes=1 << 24)
    assert found["parts"][0]["names"] == 1 << 20

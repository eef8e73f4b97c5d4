"""The entropy coder gives residuals back, both implementations write the same bytes, and broken ones are refused."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.codec import CodecError, Corrupt, backend, entropy
from tracewinnow.codec.varint import Cursor


@st.composite
def streams(draw: st.DrawFn) -> list[np.ndarray]:
    """A few streams: narrow, wide, with wild outliers, constant, of lengths about the groups and rounds of the coder."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from([np.int32, np.int64])))
    info = np.iinfo(dtype)
    found = []
    for _ in range(draw(st.integers(1, 3))):
        size = draw(st.sampled_from([1, 2, 31, 32, 33, 127, 128, 129, 300, 1025]))
        scale = 2.0 ** draw(st.integers(-2, 8 * dtype.itemsize - 2))
        x = np.clip(rng.laplace(0, scale, size), -(2.0 ** (8 * dtype.itemsize - 2)), 2.0 ** (8 * dtype.itemsize - 2))
        x = np.rint(x).astype(dtype)
        if draw(st.booleans()):
            x[rng.random(size) < 0.05] = rng.choice([info.min, info.max, 0])
        found.append(np.full(size, x[0]) if draw(st.integers(0, 4)) == 0 else x)
    return found


def decoded(data: bytes, parts: list[np.ndarray]) -> np.ndarray:
    cursor = Cursor(data)
    out = entropy.decode(cursor, np.array([len(part) for part in parts]), parts[0].dtype).copy()
    cursor.done()
    return out


@given(streams())
@settings(max_examples=120, deadline=None)
def test_residuals_come_back_and_both_write_the_same_bytes(parts: list[np.ndarray]) -> None:
    whole = np.concatenate(parts)
    backend.use("reference")
    data = entropy.encode(parts)
    assert np.array_equal(decoded(data, parts), whole)
    backend.use("kernels")
    assert entropy.encode(parts) == data
    assert np.array_equal(decoded(data, parts), whole)


def test_many_residuals_take_thirty_two_lanes() -> None:
    rng = np.random.default_rng(1)
    parts = [np.rint(rng.normal(0, scale, 9000)).astype(np.int32) for scale in (3, 700)]
    backend.use("reference")
    data = entropy.encode(parts)
    assert data[0] == 32
    backend.use("kernels")
    assert entropy.encode(parts) == data
    assert np.array_equal(decoded(data, parts), np.concatenate(parts))
    exact = sum(-np.log2(np.bincount(p - p.min())[p - p.min()] / len(p)).sum() / 8 for p in parts)
    assert len(data) < 1.02 * exact + 600  # of its entropy, and the models


def test_a_byte_changed_anywhere_is_refused_or_harmless(implementation: str) -> None:
    rng = np.random.default_rng(2)
    parts = [np.rint(rng.laplace(0, 40, 300)).astype(np.int32)]
    data = entropy.encode(parts)
    read = 0
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x10
        with contextlib.suppress(CodecError):  # anything else is a failure
            assert decoded(bytes(broken), parts).shape == parts[0].shape
            read += 1
    assert read < len(data) // 2


def test_what_the_frequencies_must_be(implementation: str) -> None:
    parts = [np.arange(-20, 20, dtype=np.int32)]
    data = entropy.encode(parts)
    lanes, models = entropy.read_models(Cursor(data), 1)
    found = entropy.load(models, 1, 32)
    assert lanes == 4
    assert found.frequencies.sum() == entropy.SLOTS
    assert 0 < float(found.bits()[0]) < 6
    with pytest.raises(Corrupt):
        decoded(bytes((5,)) + data[1:], parts)

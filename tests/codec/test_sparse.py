"""Sparse tensors come back bit for bit, and cost no more than dense ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.codec import BadArgument, Coo, backend, decode_sparse, encode_series, encode_sparse


@st.composite
def tensors(draw: st.DrawFn) -> np.ndarray:
    shape = tuple(draw(st.lists(st.integers(0, 9), max_size=4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    there = rng.random(shape) < draw(st.sampled_from([0, 0.01, 0.3, 0.9, 1]))
    dtype = np.dtype(draw(st.sampled_from([bool, np.float16, np.float32, np.float64])))
    if dtype.kind == "b":
        return np.asarray(there)
    values = np.where(there, rng.normal(size=shape), 0).astype(dtype)
    values[rng.random(shape) < 0.05] = draw(st.sampled_from([-0.0, np.nan, np.inf, 1e-7]))
    return values


@given(tensors())
@settings(max_examples=150, deadline=None)
def test_every_tensor_comes_back_and_both_write_the_same_bytes(tensor: np.ndarray) -> None:
    backend.use("reference")
    data = encode_sparse(tensor)
    backend.use("kernels")
    assert encode_sparse(tensor) == data
    back = decode_sparse(data)
    assert back.dtype == tensor.dtype
    assert back.shape == tensor.shape
    assert back.tobytes() == tensor.tobytes()
    coordinates = decode_sparse(data, coo=True)
    assert coordinates.dense().tobytes() == tensor.tobytes()
    assert encode_sparse(coordinates) == data


def test_silent_neurons_are_found_along_another_axis() -> None:
    rng = np.random.default_rng(0)
    rate = rng.random((1, 300)) ** 3
    tensor = np.where(rng.random((500, 300)) < rate, rng.random((500, 300)), 0).astype(np.float16)
    data = encode_sparse(tensor)
    assert decode_sparse(data).tobytes() == tensor.tobytes()
    assert len(data) < len(encode_sparse(rng.permutation(tensor.ravel()).reshape(tensor.shape)))


def test_a_full_tensor_costs_what_a_series_costs() -> None:
    tensor = np.random.default_rng(0).normal(size=(50, 400)).astype(np.float32)
    assert len(encode_sparse(tensor)) < len(encode_series(tensor.reshape(-1, 1))) + 50


def test_masks_of_attention_cost_little() -> None:
    mask = np.tril(np.ones((512, 512), bool))
    assert len(encode_sparse(mask)) < 2000
    assert np.array_equal(decode_sparse(encode_sparse(mask)), mask)


def test_a_huge_shape_with_few_values() -> None:
    tensor = Coo((10**6, 10**6, 10**5), np.array([3, 10**12, 10**17 - 1]), np.array([1, 2, 3], np.float32))
    data = encode_sparse(tensor)
    with pytest.raises(BadArgument, match="coo=True"):
        decode_sparse(data)
    back = decode_sparse(data, coo=True)
    assert back.index.tolist() == tensor.index.tolist()
    assert back.values.tolist() == [1, 2, 3]


def test_a_bound_is_kept() -> None:
    tensor = np.where(np.random.default_rng(0).random((100, 100)) < 0.2, 1.2345678, 0).astype(np.float32)
    back = decode_sparse(encode_sparse(tensor, rel_error=1e-2))
    assert np.array_equal(back == 0, tensor == 0)
    assert np.all(np.abs(back - tensor) <= 1e-2 * tensor)


@pytest.mark.parametrize(
    "tensor",
    [
        np.zeros(3, np.int32),
        Coo((3,), np.array([0, 3]), None),
        Coo((3,), np.array([1, 0]), None),
        Coo((3,), np.array([1]), np.array([1.0, 2.0])),
        Coo((2**40, 2**40), np.array([1]), None),
    ],
)
def test_bad_arguments_are_named(tensor: object) -> None:
    with pytest.raises(BadArgument):
        encode_sparse(tensor)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64, np.int8, np.int64])
def test_positions_of_any_integer(dtype: type) -> None:
    """Differences of unsigned integers wrap, and products of small ones do not fit."""
    for index in ([50, 1, 7], [1, 50, 50]):
        with pytest.raises(BadArgument, match="the index rises"):
            encode_sparse(Coo((10, 10), np.array(index, dtype), np.array([1.0, 2.0, 3.0])))
    columns = np.arange(0, 100, 10, dtype=dtype)
    back = decode_sparse(encode_sparse(Coo((1000, 10), columns, None)), coo=True)
    assert back.index.tolist() == columns.tolist()


def test_an_array_that_may_not_be_written_and_one_of_the_other_byte_order() -> None:
    tensor = np.where(np.arange(600).reshape(20, 30) % 7 == 0, 1.5, 0).astype(">f4")
    tensor.flags.writeable = False
    assert np.array_equal(decode_sparse(encode_sparse(tensor)), tensor)
    assert np.array_equal(decode_sparse(encode_sparse(tensor[:, ::2])), tensor[:, ::2])


def test_bitmaps_of_large_tensors(implementation: str) -> None:
    rng = np.random.default_rng(5)
    for shape in ((7, 50, 37), (13001,)):
        tensor = np.where(rng.random(shape) < rng.random((*shape[:-1], 1)), rng.random(shape), 0).astype(np.float16)
        data = encode_sparse(tensor)
        assert decode_sparse(data).tobytes() == tensor.tobytes()
        assert decode_sparse(data, coo=True).dense().tobytes() == tensor.tobytes()

"""Series come back: every bit without a bound, within the bound with one, whatever is in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.codec import BadArgument, Corrupt, Truncated, backend, decode_series, encode_series

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1e-45, 6e-8, 1e-40, 1.0, -1.0]
DTYPES = [np.float16, np.float32, np.float64, np.int64]


def tame(rng: np.random.Generator, steps: int, names: int) -> np.ndarray:
    """Layers that move together in the logarithm, as norms of gradients do."""
    common = np.cumsum(rng.normal(0, 0.05, (steps, 1)), axis=0)
    return np.exp(common + rng.normal(0, 0.05, (steps, names)) + rng.normal(0, 2, names))


@st.composite
def samples(draw: st.DrawFn) -> np.ndarray:
    """Arrays (steps, names) of every dtype: tame, wild, constant, with runs and single special values."""
    steps = draw(st.sampled_from([0, 1, 2, 3, 127, 128, 129, 300, 700]))
    names = draw(st.sampled_from([0, 1, 2, 5, 17]))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if dtype == np.int64:
        top = draw(st.sampled_from([1, 100, 2**40, 2**63 - 1]))
        return rng.integers(-top - 1, top, (steps, names), dtype=np.int64, endpoint=True)
    kind = draw(st.sampled_from(["tame", "bits", "constant", "decimals", "signed"]))
    if kind == "bits":
        word = np.dtype(f"u{dtype.itemsize}")
        values = rng.integers(0, np.iinfo(word).max, (steps, names), dtype=word, endpoint=True).view(dtype)
    elif kind == "constant":
        values = np.full((steps, names), draw(st.sampled_from(SPECIAL)), dtype)
    elif kind == "decimals":
        values = np.round(rng.normal(0, 1, (steps, names)), 2).astype(dtype)
    elif kind == "signed":
        values = (tame(rng, steps, names) * rng.choice([-1, 1], (steps, names))).astype(dtype)
    else:
        values = tame(rng, steps, names).astype(dtype)
    if steps and names and draw(st.booleans()):
        values[rng.random((steps, names)) < 0.05] = draw(st.sampled_from(SPECIAL))
        values[draw(st.integers(0, steps - 1)) :, draw(st.integers(0, names - 1))] = draw(st.sampled_from(SPECIAL))
    return values


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes("C") == b.tobytes("C")


@given(samples())
@settings(max_examples=150, deadline=None)
def test_lossless_gives_every_bit_back_and_both_write_the_same_bytes(values: np.ndarray) -> None:
    backend.use("reference")
    slow = encode_series(values)
    assert same_bits(decode_series(slow).values, values)
    backend.use("kernels")
    assert encode_series(values) == slow
    assert same_bits(decode_series(slow).values, values)


@given(samples(), st.sampled_from([1e-7, 1e-4, 1e-3, 1e-2, 0.3, 0.9]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_sample_keeps_the_bound_and_both_write_the_same_bytes(
    values: np.ndarray, bound: float, relative: bool
) -> None:
    kind = {"rel_error": bound} if relative else {"abs_error": bound}
    backend.use("reference")
    slow = encode_series(values, **kind)
    read_slowly = decode_series(slow).values
    backend.use("kernels")
    assert encode_series(values, **kind) == slow
    series = decode_series(slow)
    assert (series.rel_error, series.abs_error) == (kind.get("rel_error"), kind.get("abs_error"))
    assert same_bits(series.values, read_slowly)
    if values.dtype == np.int64:
        assert same_bits(series.values, values)
        return
    exact = ~np.isfinite(values) | (np.abs(values) < np.finfo(values.dtype).tiny)
    assert same_bits(series.values[exact], values[exact])
    v, w = values[~exact].astype(np.longdouble), series.values[~exact].astype(np.longdouble)
    assert np.all(np.abs(w - v) <= (bound * np.abs(v) if relative else bound))


def test_wide_latents_with_special_values_stay_in_their_range(implementation: str) -> None:
    rng = np.random.default_rng(0)
    for size in (3, 5, 20, 60):
        for special in (np.nan, np.inf, -0.0):
            values = rng.normal(size=(size, 1))
            values[rng.random((size, 1)) < 0.3] = special
            assert same_bits(decode_series(encode_series(values)).values, values)


def test_both_agree_on_many_steps(implementation: str) -> None:
    values = tame(np.random.default_rng(3), 3000, 6).astype(np.float32)
    values[2000:2100, 2] = np.nan
    data = encode_series(values)
    assert same_bits(decode_series(data).values, values)
    backend.use("kernels")
    assert encode_series(values) == data


def test_the_other_layers_of_a_step_make_it_smaller() -> None:
    rng = np.random.default_rng(0)
    together = tame(rng, 4000, 24).astype(np.float32)
    apart = np.stack([rng.permutation(column) for column in together.T], axis=1)
    assert len(encode_series(together, rel_error=1e-3)) < 0.9 * len(encode_series(apart, rel_error=1e-3))


@pytest.mark.parametrize("special", [np.nan, np.inf, 0.0, -0.0])
def test_a_run_of_special_values_costs_next_to_nothing(special: float) -> None:
    values = tame(np.random.default_rng(0), 8000, 8).astype(np.float32)
    short = len(encode_series(values[:2000], rel_error=1e-3))
    values[2000:] = special
    assert len(encode_series(values, rel_error=1e-3)) < short + 600


def test_values_born_in_bfloat16_are_noticed() -> None:
    values = tame(np.random.default_rng(0), 4000, 8).astype(np.float32)
    born = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
    data = encode_series(born)
    assert same_bits(decode_series(data).values, born)
    assert len(data) < 1.1 * born.size
    assert len(encode_series(born, rel_error=1e-3)) < 1.01 * len(data)  # a bound finer than they are costs no more


def test_names_steps_and_parts() -> None:
    values = tame(np.random.default_rng(1), 150_000, 4).astype(np.float32)
    steps = np.cumsum(np.random.default_rng(2).integers(1, 4, 150_000))
    names = ["blocks.0.attn", "été", "", "\udcff"]
    data = encode_series(values, names=names, steps=steps)
    whole = decode_series(data)
    assert whole.names == names
    assert np.array_equal(whole.steps, steps)
    part = decode_series(data, names=["", "été"], step_range=(int(steps[70_000]), int(steps[70_010])))
    assert part.names == ["", "été"]
    assert np.array_equal(part.steps, steps[70_000:70_010])
    assert same_bits(part.values, values[70_000:70_010][:, [2, 1]])


def test_more_names_than_a_tile_has_columns() -> None:
    values = tame(np.random.default_rng(1), 200, 600).astype(np.float32)
    names = [f"layer.{i}" for i in range(600)]
    data = encode_series(values, names=names)
    assert same_bits(decode_series(data).values, values)
    assert same_bits(decode_series(data, names=["layer.599", "layer.3"]).values, values[:, [599, 3]])


def test_chunks_outside_the_range_are_not_read() -> None:
    values = tame(np.random.default_rng(1), 300_000, 4).astype(np.float32)
    data = bytearray(encode_series(values))
    data[len(data) // 10] ^= 0xFF  # in the first data chunk
    with pytest.raises(Corrupt):
        decode_series(bytes(data))
    assert len(decode_series(bytes(data), step_range=(290_000, 290_100)).values) == 100


def test_regular_steps_cost_a_few_bytes_and_strange_ones_come_back() -> None:
    values = np.zeros((5000, 1), np.float32)
    assert len(encode_series(values, steps=np.arange(10, 500_010, 100))) < len(encode_series(values)) + 8
    wraps = [2**63 - 6, 2**63 - 1, -(2**63) + 4]  # by 5 each, modulo 2^64
    for steps in ([5, 3, 3, -(2**63), 2**63 - 1], [2**63 - 1, -(2**63), 0, 1, 2], wraps):
        data = encode_series(values[: len(steps)], steps=np.array(steps))
        assert decode_series(data).steps.tolist() == steps


@pytest.mark.parametrize(
    "arguments",
    [
        {"values": np.zeros((2, 2), np.int32)},
        {"values": np.zeros((2, 2, 2), np.float32)},
        {"values": np.zeros((2, 2), np.float32), "names": ["a"]},
        {"values": np.zeros((2, 2), np.float32), "names": ["a", "a"]},
        {"values": np.zeros((2, 2), np.float32), "names": ["a", "\ud800"]},
        {"values": np.zeros((2, 2), np.float32), "steps": [1]},
        {"values": np.zeros((2, 2), np.float32), "steps": [0.5, 1.5]},
        {"values": np.zeros((2, 2), np.float32), "rel_error": 0.0},
        {"values": np.zeros((2, 2), np.float32), "rel_error": np.nan},
        {"values": np.zeros((2, 2), np.float32), "rel_error": 1.0},
        {"values": np.zeros((2, 2), np.float32), "abs_error": -1.0},
        {"values": np.zeros((2, 2), np.float32), "abs_error": 1.0, "rel_error": 0.1},
    ],
)
def test_bad_arguments_are_named(arguments: dict) -> None:
    with pytest.raises(BadArgument):
        encode_series(**arguments)


def test_what_is_not_there_and_what_is_too_big() -> None:
    data = encode_series(np.zeros((1000, 2), np.float32), names=["a", "b"])
    with pytest.raises(BadArgument, match="'c'"):
        decode_series(data, names=["c"])
    with pytest.raises(BadArgument, match="max_bytes"):
        decode_series(data, max_bytes=1000)
    with pytest.raises(Truncated):
        decode_series(data[:-1])

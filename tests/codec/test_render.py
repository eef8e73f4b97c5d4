"""Text for a language model: read back it says what it was made from, and a budget is kept."""

import base64
import contextlib
import json
from importlib.resources import files

import numpy as np
import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.codec import BadArgument, Coo, Corrupt, Span, parse_series, render_series, render_spans, render_sparse


def tekken() -> tiktoken.Encoding:
    """The vocabulary that the mistral-common wheel carries: a real tokenizer, without a network."""
    raw = json.loads(files("mistral_common").joinpath("data/tekken_240911.json").read_text())
    special = raw["config"]["default_num_special_tokens"]
    size = raw["config"]["default_vocab_size"] - special
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in raw["vocab"][:size]}
    return tiktoken.Encoding("tekken", pat_str=raw["config"]["pattern"], mergeable_ranks=ranks, special_tokens={})


ENCODING = tekken()


def tokens(text: str) -> int:
    return len(ENCODING.encode(text, disallowed_special=()))


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, list[str]]:
    dtype = np.dtype(draw(st.sampled_from([np.float16, np.float32, np.float64, np.int64])))
    columns = draw(st.integers(0, 4))
    steps = draw(st.integers(0, 12))
    if dtype == np.int64:
        element = st.integers(-(2**63), 2**63 - 1)
    else:
        element = st.floats(width=8 * dtype.itemsize) | st.sampled_from([0.0, -0.0, 1.0, 1e-5, 1e4])
    rows = [[draw(element) for _ in range(columns)] for _ in range(steps)]
    name = st.text(max_size=8) | st.sampled_from(
        ["model.layers.0.attn.q", "model.layers.1.attn.q", "steps", "constant", "A", "e-3", "series", "a: b", '"'],
    )
    names = draw(st.lists(name, min_size=columns, max_size=columns, unique=True))
    return np.array(rows, dtype).reshape(steps, columns), names


@given(
    tables(), st.sampled_from([None, ("rel_error", 1e-3), ("rel_error", 0.1), ("abs_error", 0.5), ("abs_error", 1e-6)])
)
@settings(max_examples=300, deadline=None)
def test_nothing_is_lost_beyond_the_bound(table: tuple[np.ndarray, list[str]], bound: tuple[str, float] | None) -> None:
    values, names = table
    kind = {bound[0]: bound[1]} if bound else {}
    text = render_series(values, names=names, steps=np.arange(len(values)) * 7 - 20, **kind)
    back = parse_series(text)
    assert sorted(back.series.names or []) == sorted(names)
    assert back.series.steps.tolist() == [i * 7 - 20 for i in range(len(values))]
    assert (back.series.rel_error, back.series.abs_error) == (kind.get("rel_error"), kind.get("abs_error"))
    for j, name in enumerate(names):
        v, w = values[:, j], back.series.values[:, (back.series.names or []).index(name)]
        assert w.dtype == v.dtype
        if values.dtype == np.int64 or not bound:
            assert np.array_equal(v, w, equal_nan=v.dtype.kind == "f")
            assert np.array_equal(np.signbit(v[v == 0]), np.signbit(w[v == 0]))
            continue
        finite = np.isfinite(v)
        assert np.array_equal(v[~finite], w[~finite], equal_nan=True)
        a, b = v[finite].astype(np.longdouble), w[finite].astype(np.longdouble)
        assert np.all(np.abs(a - b) <= (bound[1] * np.abs(a) if bound[0] == "rel_error" else bound[1]))


def waves(steps: int, names: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.exp(np.cumsum(rng.normal(0, 0.002, (steps, names)), 0)).astype(np.float32)


@pytest.mark.parametrize("budget", [60, 100, 200, 500, 1500, 5000])
def test_a_budget_is_kept_and_the_change_keeps_its_place(budget: int) -> None:
    values = waves(2000, 6)
    values[1200:1206] *= 7
    text = render_series(
        values, names=[f"blocks.{i}.attn.norm" for i in range(6)], rel_error=1e-2, budget=budget, count=tokens
    )
    assert tokens(text) <= budget
    assert text.endswith("\n")
    if text.startswith("summary: 6 names, steps 0 to 1999"):
        assert budget < 500
        return
    back = parse_series(text)
    assert "coarsened" in text
    assert back.last_steps[-1] == 1999
    if budget >= 1500:
        # The jump stands apart, to the step.
        assert 1200 in back.series.steps
        assert 1206 in back.series.steps
        assert float(back.series.values[back.series.steps.tolist().index(1200)].min()) > 4


def test_a_budget_that_nothing_fits_is_refused() -> None:
    with pytest.raises(BadArgument, match="shortest summary"):
        render_series(waves(10, 2), budget=3)


def test_constants_are_hoisted_jumps_and_breaks_are_marked() -> None:
    values = np.ones((30, 3), np.float32)
    values[:, 0] = 1 + np.arange(30) % 2 / 100
    values[20, 0] = 9
    values[25:, 1] = np.nan
    text = render_series(values, names=["a", "b", "c"], rel_error=1e-2 / 3)
    assert "constant: c 1\n" in text
    assert " 9! " in text
    assert "b: 1 =24 nan! =4" in text


@pytest.mark.parametrize("text", ["", "hello", "series: 1 names, 1 steps, float32, exact (x)\nsteps: 0\na: 1 2\n"])
def test_what_is_no_such_text(text: str) -> None:
    with pytest.raises(Corrupt):
        parse_series(text)


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_a_text_that_was_changed_is_read_or_refused(noise: bytes) -> None:
    text = render_series(waves(9, 3), names=["blocks.0.attn", "blocks.1.attn", "b c"], rel_error=1e-2)
    at = len(noise) * 7 % len(text)
    with contextlib.suppress(Corrupt):
        parse_series(text[:at] + noise.decode("latin-1") + text[at + len(noise) // 2 :])


@pytest.mark.parametrize("budget", [70, 150, 600, None])
def test_sparse_tensors(budget: int | None) -> None:
    rng = np.random.default_rng(0)
    tensor = np.where(rng.random((6, 20, 20)) < 0.1, rng.normal(size=(6, 20, 20)), 0).astype(np.float32)
    tensor[3, 4, 5] = np.nan
    text = render_sparse(tensor, budget=budget, count=tokens)
    assert budget is None or tokens(text) <= budget
    assert text.startswith("sparse: 6x20x20 float32, ")
    if budget is None or budget > 70:
        assert "[3,4] " in text
        assert "5=nan" in text
    assert ("only the" in text) == (budget in (150, 600))


def test_patterns_and_huge_shapes() -> None:
    assert render_sparse(np.tril(np.ones((3, 3), bool))).splitlines()[1:] == ["[0] 0", "[1] 0:1", "[2] 0:2"]
    assert "[1] 0=1.5" in render_sparse(Coo((10**9, 10**9), np.array([10**9]), np.array([1.5])))
    assert "0 of 0" in render_sparse(np.zeros((0, 3), np.float32))


@pytest.mark.parametrize("budget", [40, 250, 700, None])
def test_spans(budget: int | None) -> None:
    spans = [
        Span(name, 10_000_000 * i + 1000 * k, 900_000 + 1000 * i, f"rank{i % 2}")
        for i in range(60)
        for k, name in enumerate(("train.forward", "train.backward", "train.optimizer"))
    ]
    spans.append(Span("train.allreduce", 5, 10**9, "rank0"))
    text = render_spans(spans, budget=budget, count=tokens)
    assert budget is None or tokens(text) <= budget
    assert text.startswith("spans: 181 ")
    if budget is None or budget >= 250:
        assert "allreduce" in text
    assert render_spans([]) == "spans: none\n"
    with pytest.raises(BadArgument):
        render_spans(spans, budget=1)

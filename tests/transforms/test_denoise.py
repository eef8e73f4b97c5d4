"""Which noise stays, and that it can be weighted back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow.transforms.classify import CONTEXT, NOISE
from tracewinnow.transforms.denoise import EVEN, EXPECTED, MOST, denoise, draw, keep_probability
from tracewinnow.transforms.harmless import healthy_share
from tracewinnow.transforms.reading import read, template_names
from tracewinnow.transforms.reference import Reference
from tracewinnow.transforms.score import score

WORDS = ["shard", "queue", "cache", "ring", "pool", "index", "bucket", "frame", "table", "lease", "token", "graph"]


def chatter(kinds: int, each: int) -> list[str]:
    """Progress lines of `kinds` templates, `each` of every kind, turn about."""
    names = [f"{a}{b}".replace("a", "x") for a in WORDS for b in WORDS][:kinds]
    return [f"downloading {name} {i} of {each}" for i in range(each) for name in names]


def test_the_first_of_a_kind_is_always_kept_and_later_ones_by_the_curve() -> None:
    drawn = np.array([True, True, True, False])
    p = keep_probability(drawn, np.array([100, 100, 2, 100]), np.array([0, 5, 1, 5]))
    assert p.tolist() == [1.0, np.float32(EXPECTED / 100), 1.0, 1.0]


def test_weights_make_counts_unbiased(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracewinnow.transforms.denoise.MOST", 1e9)
    reading = read(chatter(100, 60))
    found = denoise(reading, score(reading.view), np.zeros(6000, np.float32), [])
    assert (found.label == NOISE).all()
    weights = 1 / found.keep_probability[found.kept]
    assert found.kept.sum() < 1000
    assert abs(weights.sum() / 6000 - 1) < 0.1


def test_the_draw_hangs_on_the_content_alone() -> None:
    lines = chatter(5, 20)
    half = np.full(100, 0.5, np.float32)
    assert (draw(read(lines), half) == draw(read(list(lines)), half)).all()
    starts = {draw(read([*lines[:-1], f"{word} came last"]), half).tobytes() for word in WORDS}
    # Another trace draws anew: the ruler has its first mark in the first line, or in the second.
    assert len(starts) == 2


@given(st.lists(st.floats(2**-19, 1, width=32), min_size=1, max_size=200))
def test_as_many_are_kept_as_are_expected(probabilities: list[float]) -> None:
    keep = np.array(probabilities, np.float32)
    kept = draw(read([f"{WORDS[i % len(WORDS)]} {i}" for i in range(len(keep))]), keep)
    assert kept[keep >= 1].all()
    assert abs(kept.sum() - keep.sum(dtype=np.float64)) < 1 + 1e-6


def test_each_line_is_kept_as_often_as_its_probability_says() -> None:
    keep = np.array([0.1, 0.5, 1.0, 0.9, 0.02, 0.5], np.float32)
    draws = [draw(read(["one", "two", "three", "four", "five", f"trace {'x' * i}"]), keep) for i in range(1, 2001)]
    assert np.abs(np.mean(draws, axis=0) - keep).max() < 0.04


def test_what_healthy_runs_print_is_noise() -> None:
    log = ["ERROR could not open the profiler, going on", "epoch 1 done", "ERROR device lost"]
    reference = Reference()
    reference.add(template_names(log[:2]))
    reading = read(log)
    healthy = healthy_share(reading, reference)
    assert healthy.tolist() == [1, 1, 0]
    found = denoise(reading, score(reading.view), healthy, [])
    assert found.label[0] == NOISE
    assert found.label[2] != NOISE


def test_job_events_have_their_classes() -> None:
    reading = read(["job started", "job crashed with code 1", "job stopped"])
    found = denoise(reading, score(reading.view), np.zeros(3, np.float32), ["start", "crash", "stop"])
    assert found.label.tolist() == [2, 0, 1]


def test_a_trace_of_many_kinds_keeps_no_more_than_a_share_and_its_weights_still_tell_how_many() -> None:
    names = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS]  # 1,728 kinds
    reading = read([f"downloading {name} now" for name in names])
    found = denoise(reading, score(reading.view), np.zeros(len(names), np.float32), [])
    assert (found.label == NOISE).all()
    assert 0.6 * MOST < found.kept.sum() < 1.4 * MOST
    assert abs((1 / found.keep_probability[found.kept]).sum() / len(names) - 1) < 0.4


def test_no_line_stands_for_more_than_its_share_of_the_noise() -> None:
    names = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS]
    lines = [f"downloading {name} now" for name in names] + ["downloading the same again"] * 20_000
    reading = read(lines)
    found = denoise(reading, score(reading.view), np.zeros(len(lines), np.float32), [])
    noise = found.label == NOISE
    assert noise.all()
    assert (1 / found.keep_probability).max() < noise.sum() / EVEN
    assert found.keep_probability.sum() < MOST + 1


def test_progress_that_went_on_is_context_and_is_drawn_from() -> None:
    lines = [f"step {i} loss {i}.5" for i in range(400)]
    found = denoise(read(lines), score(read(lines).view), np.zeros(400, np.float32), [])
    assert (found.label == CONTEXT).all()
    assert np.flatnonzero(~found.drawn).tolist() == [0, 395, 396, 397, 398, 399]
    assert np.allclose(found.keep_probability[found.drawn], EXPECTED / 400)
    assert found.kept[~found.drawn].all()
    assert found.kept[found.drawn].sum() < 8


def test_events_of_the_job_are_not_drawn_from() -> None:
    lines = ["job stop: exit code 0"] * 64
    found = denoise(read(lines), score(read(lines).view), np.zeros(64, np.float32), ["stop"] * 64)
    assert not found.drawn.any()
    assert (found.keep_probability == 1).all()

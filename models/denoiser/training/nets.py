"""Fitting the head's networks (transforms/head.py) to the labelled lines of logs and to what stands around these lines.

Adam with decoupled decay (Loshchilov and Hutter 2019, arXiv 1711.05101); gradients by autograd. They are averaged with one another.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import autograd.numpy as anp
import numpy as np
import numpy.typing as npt
from autograd import value_and_grad

from tracewinnow.transforms.head import Head

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Weights = dict[str, Any]
NETS, UNITS, LAYERS = 3, 32, 4
CUT = 4.0  # standard deviations at which features are cut off
DROPOUT = 0.3
EPOCHS, BATCH = 3, 1500  # lines
LONGEST = 256  # lines of a run that are in a batch together
MIXED = 40  # lines by which the lengths of runs of one batch may differ
STEPS = 120  # of each, at least: fewer would leave weights where they began
RATE, WARM, DECAY, CLIP = 2e-3, 0.1, 0.05, 1.0


def fit_nets(table: Floats, label: Ints, weight: npt.NDArray[np.float64], runs: Ints, seed: int = 0) -> Head:
    """NETS networks, each with a linear part, averaged. The same input, the same head.

    table: float32[n, features]; label: int64[n], -1 where there is none; weight: float64[n]. runs: int64[k + 1], where the lines of
    the next run begin, a run being neighbouring lines of one log. Blocks for some ten seconds for 100,000 lines and network.
    """
    mean, deviation = table.mean(axis=0), table.std(axis=0) + 1e-2
    scaled = np.clip((table - mean) / deviation, -CUT, CUT).astype(np.float32)
    fitted = [_fit(scaled, label, weight.astype(np.float32), runs, seed + number) for number in range(NETS)]
    spread = np.where(table.std(axis=0) > 0, 1 / deviation, 0)[
        :, None
    ]  # what never varied tells nothing: there was no reference
    parts: dict[str, Any] = {
        name: np.array([one[name] for one in fitted]) for name in ("entry", "entry_bias", "taps", "tap_bias", "out")
    }
    parts["entry"] = parts["entry"] * spread
    parts["entry_bias"] = parts["entry_bias"] - mean @ parts["entry"]
    parts["out"] = parts["out"] / NETS
    weights = np.mean([one["weights"] for one in fitted], axis=0) * spread
    bias = np.mean([one["bias"] for one in fitted], axis=0) - mean @ weights
    low, high = mean - CUT * deviation, mean + CUT * deviation
    parts = {"low": low, "high": high, "weights": weights, "bias": bias, **parts}
    return Head(**{name: np.ascontiguousarray(part, np.float32) for name, part in parts.items()})


def begun(features: int, draw: np.random.Generator) -> Weights:
    """Weights from which a network is fitted: uniform, by the number of inputs."""

    def some(inputs: int, *shape: int) -> Floats:
        return draw.uniform(-(inputs**-0.5), inputs**-0.5, shape).astype(np.float32)

    return {
        "weights": some(features, features, 4),
        "bias": some(features, 4),
        "entry": some(features, features, UNITS),
        "entry_bias": some(features, UNITS),
        "taps": some(3 * UNITS, LAYERS, 3 * UNITS, UNITS),
        "tap_bias": some(3 * UNITS, LAYERS, UNITS),
        "out": some(UNITS, UNITS, 4),
    }


def forward(w: Weights, x: Any, inside: Any, kept: list[Any]) -> Any:
    """Log-odds of the classes: float32[n, 4]. inside: float32[n, 1], 0 between runs. kept: what dropout leaves, of x and units."""
    units = anp.maximum(x * kept[0] @ w["entry"] + w["entry_bias"], 0) * inside
    for layer in range(LAYERS):
        far, seen = 2**layer, units * kept[1 + layer]
        none = np.zeros((far, UNITS), np.float32)
        wide = anp.concatenate(
            [anp.concatenate([none, seen[:-far]]), seen, anp.concatenate([seen[far:], none])], axis=1
        )
        units = (units + anp.maximum(wide @ w["taps"][layer] + w["tap_bias"][layer], 0)) * inside
    return x @ w["weights"] + w["bias"] + (units * kept[-1]) @ w["out"]


def loss(w: Weights, x: Any, inside: Any, kept: list[Any], target: Any, weight: Any) -> Any:
    """Mean weighted cross-entropy. target: float32[n, 4]; weight: float32[n], 0 where there is no label."""
    said = forward(w, x, inside, kept)
    said = said - anp.max(said, axis=1, keepdims=True)
    logs = said - anp.log(anp.sum(anp.exp(said), axis=1, keepdims=True))
    return -anp.sum(anp.sum(logs * target, axis=1) * weight) / np.float32(max(1, int(np.count_nonzero(weight))))


def batches(runs: Ints, draw: np.random.Generator) -> Iterator[Ints]:
    """Rows of some BATCH lines, in random order; runs of like length together, -1 between them as far as the farthest tap reaches.

    The loss of each batch counts alike: of a log of which a line here and there was read, that line weighs more than one of a log
    that was read from end to end, as long runs are.
    """
    parts = np.array(
        [(a, min(a + LONGEST, end)) for first, end in itertools.pairwise(runs) for a in range(first, end, LONGEST)]
    )
    order = np.argsort(parts[:, 1] - parts[:, 0] + draw.uniform(0, MIXED, len(parts)))
    ends = np.cumsum(np.diff(parts[order], axis=1))
    gap = np.full(2 ** (LAYERS - 1), -1)
    found = [
        np.concatenate([piece for first, end in some for piece in (np.arange(first, end), gap)])
        for some in np.split(parts[order], np.flatnonzero(np.diff(ends // BATCH)) + 1)
    ]
    yield from (found[number] for number in draw.permutation(len(found)))


def _fit(scaled: Floats, label: Ints, weight: Floats, runs: Ints, seed: int) -> Weights:
    draw = np.random.default_rng(seed)
    w = begun(scaled.shape[1], draw)
    moments = {name: (np.zeros_like(part), np.zeros_like(part)) for name, part in w.items()}
    of_epoch = len(list(batches(runs, np.random.default_rng(seed))))
    steps, step = max(STEPS, EPOCHS * of_epoch), 0
    slope = value_and_grad(loss)
    while step < steps:
        for rows in batches(runs, draw):
            if step == steps:
                break
            step += 1
            inside = (rows >= 0).astype(np.float32)[:, None]
            x = scaled[rows] * inside
            told = np.where(rows >= 0, label[rows], -1)
            target = np.eye(4, dtype=np.float32)[np.maximum(told, 0)]
            sizes = [x.shape, *[(len(x), UNITS)] * (LAYERS + 1)]
            kept = [(draw.random(size, np.float32) >= DROPOUT) * np.float32(1 / (1 - DROPOUT)) for size in sizes]
            _, slopes = slope(w, x, inside, kept, target, np.where(told >= 0, weight[rows], 0).astype(np.float32))
            rate = RATE * min(1.0, step / (WARM * steps)) * (1 - (step - 1) / steps)
            _step(w, slopes, moments, rate, step)
    return w


def _step(w: Weights, slopes: Weights, moments: dict[str, tuple[Any, Any]], rate: float, step: int) -> None:
    norm = float(np.sqrt(sum(float((slope**2).sum()) for slope in slopes.values())))
    scale = np.float32(min(1.0, CLIP / (norm + 1e-6)))
    for name, (first, second) in moments.items():
        slope = slopes[name] * scale
        first += np.float32(0.1) * (slope - first)
        second += np.float32(0.001) * (slope**2 - second)
        change = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        w[name] = (w[name] - rate * (change + DECAY * w[name])).astype(np.float32)

"""The head: what a line is, by what is known of it and of the lines around it. Linear, and networks that read along the log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracewinnow.transforms.score import Floats, product

PARTS = ("low", "high", "weights", "bias", "entry", "entry_bias", "taps", "tap_bias", "out")  # as they are stored
AT_ONCE = 16_384  # lines whose hidden units are in memory together


@dataclass(slots=True)
class Head:
    """Log-odds of the classes: a linear function of the features, plus what networks see in them and in those of lines around.

    low, high: float32[features], where features are cut off. weights: float32[features, 4]; bias: float32[4].
    Networks, any number of them: entry float32[nets, features, k] and entry_bias float32[nets, k] make k units of a line; layer i
    adds to them what it sees in the units of the line 2**i before, of the line and of the line 2**i behind, by taps
    float32[nets, layers, 3 * k, k] and tap_bias float32[nets, layers, k]; out: float32[nets, k, 4]. (Residual dilated convolutions,
    Bai et al. 2018, arXiv 1803.01271, both ways.)
    """

    low: Floats
    high: Floats
    weights: Floats
    bias: Floats
    entry: Floats
    entry_bias: Floats
    taps: Floats
    tap_bias: Floats
    out: Floats

    def logits(self, table: Floats) -> Floats:
        """Log-odds of the classes up to a constant, of the lines of a log in order: float32[n, features] -> float32[n, 4]."""
        n, reach = len(table), reach_of(self.taps.shape[1]) if len(self.taps) else 0
        found = np.zeros((n, len(self.bias)), np.float32)
        for start in range(0, n, AT_ONCE):
            first, end = max(0, start - reach), min(n, start + AT_ONCE + reach)
            some = np.clip(table[first:end], self.low, self.high)
            part = product(some, self.weights) + self.bias
            for net, out in enumerate(self.out):
                part += product(self.units(some, net), out)
            found[start : start + AT_ONCE] = part[start - first :][:AT_ONCE]
        return found

    def units(self, table: Floats, net: int) -> Floats:
        """Units of one network: float32[n, features], cut off -> float32[n, k]."""
        units: Floats = np.maximum(product(table, self.entry[net]) + self.entry_bias[net], 0)
        for layer, (taps, bias) in enumerate(zip(self.taps[net], self.tap_bias[net], strict=True)):
            seen = product(neighbours(units, 2**layer), taps)
            seen += bias
            units += np.maximum(seen, 0, out=seen)
        return units


def neighbours(units: Floats, far: int) -> Floats:
    """Units of the line `far` before, of the line itself and of the line `far` behind, 0 beyond the ends: [n, k] -> [n, 3 * k]."""
    n, k = units.shape
    found = np.zeros((n, 3 * k), np.float32)
    found[far:, :k] = units[: max(0, n - far)]
    found[:, k : 2 * k] = units
    found[: max(0, n - far), 2 * k :] = units[far:]
    return found


def reach_of(layers: int) -> int:
    """Lines before and behind that a network of so many layers sees."""
    return int(2**layers) - 1


def linear(weights: Floats, bias: Floats) -> Head:
    """A head without networks. weights: float32[features, 4]."""
    n = len(weights)
    far = np.full(n, np.inf, np.float32)
    none = [np.zeros(size, np.float32) for size in ((0, n, 0), (0, 0), (0, 0, 0, 0), (0, 0, 0), (0, 0, 4))]
    return Head(-far, far, weights, bias, *none)

"""The head: what a line is, by what is known of it and of its surroundings. A linear model and small networks, heard together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracewinnow.transforms.score import Floats, product

PARTS = ("weights", "bias", "low", "high", "hidden", "threshold", "out")  # of a head, as they are stored
AT_ONCE = 16_384  # lines whose hidden units are in memory together


@dataclass(slots=True)
class Head:
    """Log-odds of the classes as a linear function of the features, plus what hidden units see in them.

    weights: float32[features, 4]; bias: float32[4]. low, high: float32[features], where the hidden units cut a feature off.
    hidden: float32[features, k]; threshold: float32[k]; out: float32[k, 4]. Without hidden units, k = 0, it is a linear model.
    """

    weights: Floats
    bias: Floats
    low: Floats
    high: Floats
    hidden: Floats
    threshold: Floats
    out: Floats

    def logits(self, table: Floats) -> Floats:
        """Log-odds of the classes up to a constant: float32[n, features] -> float32[n, 4]."""
        found = np.zeros((len(table), len(self.bias)), np.float32)
        for start in range(0, len(table), AT_ONCE):
            some = table[start : start + AT_ONCE]
            part = product(some, self.weights) + self.bias
            if len(self.threshold):
                units = product(np.clip(some, self.low, self.high), self.hidden)
                units += self.threshold
                np.maximum(units, 0, out=units)
                part += product(units, self.out)
            found[start : start + AT_ONCE] = part
        return found


def linear(weights: Floats, bias: Floats) -> Head:
    """A head without hidden units."""
    n = len(weights)
    nothing = np.zeros(n, np.float32)
    return Head(
        weights, bias, nothing, nothing, np.zeros((n, 0), np.float32), nothing[:0], np.zeros((0, 4), np.float32)
    )

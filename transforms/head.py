"""The head: what a line is, by what is known of it and of its surroundings. Small networks of one hidden layer, averaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracewinnow.transforms.score import Floats, product

PARTS = ("low", "high", "hidden", "threshold", "out", "bias")  # of a head, as they are stored
AT_ONCE = 16_384  # lines whose hidden units are in memory together


@dataclass(slots=True)
class Head:
    """Log-odds of the classes, by what hidden units see in the features.

    low, high: float32[features], where features are cut off. hidden: float32[features, k]; threshold: float32[k]; out:
    float32[k, 4]; bias: float32[4].
    """

    low: Floats
    high: Floats
    hidden: Floats
    threshold: Floats
    out: Floats
    bias: Floats

    def fits(self, features: int) -> bool:
        """Whether its parts have the shapes that go with so many features and with each other."""
        units = len(self.threshold)
        shapes = [getattr(self, part).shape for part in PARTS]
        return shapes == [(features,), (features,), (features, units), (units,), (units, 4), (4,)]

    def logits(self, table: Floats) -> Floats:
        """Log-odds of the classes up to a constant: float32[n, features] -> float32[n, 4]."""
        found = np.zeros((len(table), len(self.bias)), np.float32)
        for start in range(0, len(table), AT_ONCE):
            units = product(np.clip(table[start : start + AT_ONCE], self.low, self.high), self.hidden)
            units += self.threshold
            found[start : start + AT_ONCE] = product(np.maximum(units, 0, out=units), self.out) + self.bias
        return found

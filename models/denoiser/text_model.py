"""The text model: what a line says by its words, as the logarithm of the odds of each class.

A linear model over hashed n-grams (ngrams.py) of the message alone, without what logging writes before it: level and shape stand
among the signals. One line of a template is worth as much as another, so what it says of a template is remembered: the cache is
shared by all traces of a process, bounded, and can be saved (cache.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracewinnow.models.denoiser.message import message
from tracewinnow.models.denoiser.ngrams import sums

Floats = npt.NDArray[np.float32]
Known = dict[bytes, Floats]  # template -> float32[4]
REMEMBERED = 300_000  # templates; about 150 bytes each and their text
AT_ONCE = 4096  # templates whose grams are in memory together


@dataclass(slots=True)
class TextModel:
    """weights: float32[BUCKETS, 4]; bias: float32[4]; signals: float32[k, 4], weights of what stands beside the text.

    Safe to use from several threads.
    """

    weights: Floats
    bias: Floats
    signals: Floats
    known: Known = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def logits(self, templates: Sequence[bytes]) -> Floats:
        """Log-odds of each template's classes, up to a constant: float32[n, 4]."""
        with self.lock:
            if len(self.known) > REMEMBERED:
                self.known.clear()
            unseen = [template for template in dict.fromkeys(templates) if template not in self.known]
            for start in range(0, len(unseen), AT_ONCE):
                some = unseen[start : start + AT_ONCE]
                self.known.update(zip(some, self.unseen(some), strict=True))
            known = [self.known[template] for template in templates]
        return np.array(known, np.float32).reshape(len(templates), 4)

    def unseen(self, templates: Sequence[bytes]) -> Floats:
        """The same, without the cache."""
        found, grams = sums(list(map(message, templates)), self.weights)
        scale = np.sqrt(np.maximum(grams, 1)).astype(np.float32)
        return np.asarray(self.bias + found / scale[:, None], np.float32)

"""The trained denoiser: a class for each line from its text and its surroundings, or a reason why the rules have to answer."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tracewinnow.models import registry
from tracewinnow.models.denoiser.ngrams import BUCKETS
from tracewinnow.models.denoiser.text_model import TextModel
from tracewinnow.transforms import features
from tracewinnow.transforms.head import PARTS, Head
from tracewinnow.transforms.reading import Reading
from tracewinnow.transforms.score import Floats, View, product, signal_matrix
from tracewinnow.transforms.words import NAMES

FILE = "denoiser.npz"
RULES = "rules"  # the value of TRACEWINNOW_DENOISER that switches the model off
LARGEST_LOGIT = 12.0
LEAST = 1e-4  # probability


@dataclass(slots=True)
class Judge:
    """text: what a line says by its words. head: the same, where it stands. version: of the file, 12 hex digits."""

    text: TextModel
    head: Head
    version: str

    def classes(self, reading: Reading, rules: Floats) -> Floats:
        """Probability of each class for each line, alike within a block: float32[n, 4]. rules: float32[n]."""
        view = reading.view
        if not len(view.bits):
            return np.zeros((0, 4), np.float32)
        words = self.text.logits(reading.templates)[view.template]
        return self.judged(view, seen(self.text, view, words, rules))

    def judged(self, view: View, told: Floats) -> Floats:
        """The same of what the head sees: float32[n, features] -> float32[n, 4]."""
        return features.probabilities(features.block_mean(view.block, self.head.logits(told)))


def seen(text: TextModel, view: View, words: Floats, rules: Floats) -> Floats:
    """What the head sees of each line: float32[n, features]. words: float32[n, 4], what the text model says of its template."""
    said = words + product(signal_matrix(view.bits), text.signals)
    logits = np.clip(said, -LARGEST_LOGIT, LARGEST_LOGIT).astype(np.float32)
    return features.features(view, logits, evidence(logits), rules)


def evidence(logits: Floats) -> Floats:
    """Log-odds of each line by itself to be actionable: float32[n, 4] -> float32[n]."""
    return log_odds(features.probabilities(logits)[:, 0], LEAST)


def log_odds(p: Floats, least: float) -> Floats:
    """Of probabilities, cut off at `least` and 1 - `least`: float32[n] -> float32[n]."""
    p = np.clip(p, least, 1 - least)
    return np.asarray(np.log(p / (1 - p)), np.float32)


@functools.lru_cache(maxsize=2)
def judge(folder: Path = registry.FOLDER) -> Judge | str:
    """The shipped denoiser, or why there is none. Loads once a process, in some milliseconds."""
    if os.environ.get("TRACEWINNOW_DENOISER") == RULES:
        return "TRACEWINNOW_DENOISER says rules"
    try:
        return load(registry.arrays(FILE, folder))
    except registry.ModelUnavailable as wrong:
        return str(wrong)


def load(arrays: dict[str, npt.NDArray[np.generic]]) -> Judge:
    """The denoiser from its arrays. Raises ModelUnavailable where it was made for other signals or features than these."""
    for name, ours in (("signal_names", list(NAMES)), ("feature_names", features.names())):
        if name not in arrays or [str(one) for one in arrays[name]] != ours:
            raise registry.ModelUnavailable(
                f"the denoiser was made for other {name.replace('_', ' ')} than this version has"
            )

    def floats(name: str) -> Floats:
        return np.ascontiguousarray(arrays[name], np.float32)

    try:
        text = TextModel(floats("text_weights"), floats("text_bias"), floats("signal_weights"))
        found = Judge(text, Head(*map(floats, PARTS)), str(arrays["version"]))
    except KeyError as wrong:
        raise registry.ModelUnavailable(f"the denoiser lacks {wrong}") from wrong
    except ValueError as wrong:
        raise registry.ModelUnavailable(f"the denoiser cannot be read: {wrong}") from wrong
    shapes = [one.shape for one in (text.weights, text.bias, text.signals)]
    if shapes != [(BUCKETS, 4), (4,), (len(NAMES), 4)] or not found.head.fits(len(features.names())):
        raise registry.ModelUnavailable("the denoiser's arrays do not fit each other")
    return found

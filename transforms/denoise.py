"""Stage 1: a class for each line, and which noise and progress is kept.

Noise, and progress that only says that it went on, is kept with a probability that is recorded, so that statistics over what was
kept can be weighted back: of noise the first line of its kind always; of n lines alike, each later one with probability
min(1, EXPECTED / n). Where a trace would keep more than MOST, all of them are scaled down but for EVEN of MOST, which are drawn
from all of it alike. The rest is kept with probability 1, and so is what stage 3 chose for what it says: the draw is over the rest.
The decision hangs on the content alone: the same trace keeps the same lines.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms.classify import (
    ACTIONABLE,
    CONTEXT,
    METADATA,
    NOISE,
    classify,
    no_number,
    settle,
    spared,
    voteless,
    went_on,
)
from tracewinnow.transforms.reading import Reading

EXPECTED = 4.0  # repeats of one line that are kept, on average
MOST = 100.0  # drawn lines of a trace that are kept, on average; with more kinds than that, all their probabilities shrink alike,
EVEN = 10.0  # and so many of them are of any kind: a line never stands for more than a tenth of what is drawn from in its trace
EVENT_CLASS = {"start": METADATA, "stop": CONTEXT, "crash": ACTIONABLE}


@dataclass(slots=True)
class Denoised:
    """One entry a line. label: int8, class number; confidence and keep_probability: float32; kept: bool, not dropped by the draw.

    drawn: bool, what is drawn from: noise, and progress that went on.
    """

    label: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    keep_probability: npt.NDArray[np.float32]
    kept: npt.NDArray[np.bool_]
    drawn: npt.NDArray[np.bool_]


def denoise(
    reading: Reading,
    score: npt.NDArray[np.float32],
    healthy: npt.NDArray[np.float32],
    events: list[str],
    went_well: bool = False,
    probability: npt.NDArray[np.float32] | None = None,
    goes_on: bool = False,
    harmless: npt.NDArray[np.bool_] | None = None,
) -> Denoised:
    """Class the lines and draw the noise that stays.

    went_well: the job ended with 0, so what looks like a failure was none, but for numbers that are NaN. probability:
    float32[n, 4], of the classes, by the trained model; without it the rules decide. goes_on: these lines are a window of a job
    that has not ended. harmless: bool[n], lines that are not actionable, whatever rules and model say.
    """
    told = np.full(len(score), -1, np.int8)
    for line, event in enumerate(events):
        if event:
            told[line] = EVENT_CLASS.get(event, CONTEXT)
    if probability is None:
        label, confidence = classify(reading.view, score, healthy, told, harmless)
    else:
        if harmless is not None and harmless.any():
            probability = voteless(probability, harmless)
        label, confidence = settle(probability, healthy, told)
        if goes_on:
            label = spared(label, confidence, reading.view.bits)
    if went_well:
        label[(label == ACTIONABLE) & (told < 0) & ~no_number(reading.view)] = NOISE
    drawn = (label == NOISE) | (went_on(label, reading.view, reading.repeats) & (told < 0))
    keep = keep_probability(drawn, reading.repeats.count, reading.repeats.nth)
    expected = float(keep[drawn].sum())
    if expected > MOST:
        keep[drawn] = keep[drawn] * ((MOST - EVEN) / expected) + EVEN / np.count_nonzero(drawn)
    return Denoised(label, confidence, keep, draw(reading, keep), drawn)


def keep_probability(
    drawn: npt.NDArray[np.bool_], count: npt.NDArray[np.int64], nth: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """The curve: 1 but for what is drawn from and was said before, min(1, EXPECTED / count) for that."""
    repeated = drawn & (nth > 0)
    return np.where(repeated, np.minimum(1.0, EXPECTED / np.maximum(count, 1)), 1.0).astype(np.float32)


def draw(reading: Reading, keep: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which lines are kept, each with its own probability; bool[n]. The start hangs on what the trace says alone.

    Systematic sampling with unequal probabilities (Madow 1949): the probabilities are laid end to end, and a line is kept where a
    ruler with a random start has a mark. Laid out by template, of each template and of each probability about as many are kept as
    are expected, spread over the trace: counts vary far less from draw to draw than with a draw of each line's own.
    """
    said = reading.names[reading.view.template]
    start = (int.from_bytes(hashlib.blake2b(said.tobytes(), digest_size=8).digest(), "little") >> 11) / 2.0**53
    open_ = np.flatnonzero(keep < 1)
    order = open_[np.lexsort((reading.view.template[open_], keep[open_]))]
    marks = np.floor(start + np.cumsum(keep[order], dtype=np.float64))
    kept = keep >= 1
    kept[order] = np.diff(marks, prepend=0.0) > 0
    return kept

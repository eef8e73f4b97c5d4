"""Rules: one of the four classes for each line, with a confidence.

The score says how likely a line is evidence; what a line says by its words decides between the other three. A block takes the
class of its strongest line. The outcome decides before everything else: where a healthy run prints the same, it is noise.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms.score import Repeats, View, block_largest, sorted_groups
from tracewinnow.transforms.words import bits_of

LABELS = ("actionable", "context", "metadata", "noise")
ACTIONABLE, CONTEXT, METADATA, NOISE = range(4)

# Log-odds of the score from which a line is actionable, with and without a word of trouble in its block.
WITH_TROUBLE = -1.0
WITHOUT = 0.5

ACTIONABLE_WEIGHT = 1.5
OFTEN = 20  # times that a line of progress is said before most of them only say that it went on,
LATEST = 5  # but these

TROUBLE = bits_of(
    "exception", "error", "error_label", "fatal", "failed", "failed_loud", "refusal", "timeout", "nonfinite", "hardware",
    "summary", "exit", "verdict", "failed_test", "raised", "traceback", "assertion",
)  # fmt: skip
LOUD = bits_of("exception", "error_label", "fatal", "failed_loud", "raised", "traceback", "timeout")
SURE = 0.8
HARMLESS = bits_of("passed", "fetch", "build", "handled", "warning", "rule", "blank")
TELLS_MOMENT = bits_of("step", "lifecycle", "command", "header", "place")
TELLS_JOB = bits_of("setting", "version")


def no_number(view: View) -> npt.NDArray[np.bool_]:
    """Blocks with a number that is NaN or infinite: bool[n]. A run may end well with such a loss, and yet it is what went wrong."""
    odd = (view.bits & bits_of("nan_value")) != 0
    return block_largest(view.block, odd.astype(np.float32)) > 0 if odd.any() else odd


def classify(
    view: View,
    score: npt.NDArray[np.float32],
    healthy: npt.NDArray[np.float32],
    events: npt.NDArray[np.int8],
    harmless: npt.NDArray[np.bool_] | None = None,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Class number (into LABELS) and confidence of each line: int8[n], float32[n] in (0, 1).

    healthy: float32[n], share of healthy runs that print the line. events: int8[n], class number where the line tells a job event,
    else -1. harmless: bool[n], lines that are not actionable.
    """
    n = len(score)
    if n == 0:
        return np.zeros(0, np.int8), np.zeros(0, np.float32)
    top, trouble = per_block(view, score)
    limit = np.where(trouble, WITH_TROUBLE, WITHOUT)
    if harmless is not None:
        top = np.where(harmless, np.minimum(top, limit - 1), top)
    count = np.bincount(view.template)[view.template]
    moment, job = (view.bits & TELLS_MOMENT) != 0, (view.bits & TELLS_JOB) != 0
    harmless = (view.bits & HARMLESS) != 0
    label = np.full(n, CONTEXT, np.int8)
    label[job & (count <= 3) & ~moment] = METADATA
    label[(harmless & ~moment) | ((count > 20) & ~moment) | ((view.bits & bits_of("blank")) != 0)] = NOISE
    label[harmless & moment & (count > 3)] = NOISE
    margin = np.abs(top - limit)
    label[top >= limit] = ACTIONABLE
    label[healthy >= 0.5] = NOISE
    confidence = np.where(
        label == ACTIONABLE,
        1 / (1 + np.exp(-margin - 0.5)),
        np.where(label == NOISE, 0.85, 0.6) * np.tanh(0.5 + margin),
    )
    confidence = np.where(healthy >= 0.5, 0.5 + healthy / 2.1, confidence)
    told = events >= 0
    label[told] = events[told]
    confidence[told] = 0.99
    return label, confidence.astype(np.float32)


def settle(
    probability: npt.NDArray[np.float32],
    healthy: npt.NDArray[np.float32],
    events: npt.NDArray[np.int8],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """The same from a model's probabilities, float32[n, 4]: the likeliest, but for what is known better.

    To miss a cause costs more than to show a line too many: actionable counts ACTIONABLE_WEIGHT times.
    """
    weight = np.array([ACTIONABLE_WEIGHT, 1, 1, 1], np.float32)
    label = (probability * weight).argmax(axis=1).astype(np.int8)
    confidence = np.take_along_axis(probability, label[:, None].astype(np.int64), axis=1)[:, 0]
    usual = healthy >= 0.5
    label[usual] = NOISE
    confidence = np.where(usual, 0.5 + healthy / 2.1, confidence)
    told = events >= 0
    label[told] = events[told]
    confidence[told] = 0.99
    return label, confidence.astype(np.float32)


def voteless(probability: npt.NDArray[np.float32], harmless: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Probabilities, float32[n, 4], of lines that cannot be actionable where `harmless`: what is left, scaled to 1."""
    found = np.array(probability, np.float32)
    found[harmless, ACTIONABLE] = 0
    found[harmless, NOISE] += np.float32(1e-6)  # where nothing is left
    found[harmless] /= found[harmless].sum(axis=1, keepdims=True)
    return found


def spared(
    label: npt.NDArray[np.int8], confidence: npt.NDArray[np.float32], bits: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int8]:
    """Lines of a window of a job that goes on: what speaks of trouble is noise only where the model is sure.

    The model judges by how the log ends, and this one has not ended: what looks harmless now may be what the job dies of later.
    """
    doubtful = (label == NOISE) & (confidence < SURE) & ((bits & LOUD) != 0)
    return np.where(doubtful, CONTEXT, label).astype(np.int8)


def went_on(label: npt.NDArray[np.int8], view: View, repeats: Repeats) -> npt.NDArray[np.bool_]:
    """Progress between where it began and where it ended: bool[n]. Each such line is context by what it says, and one of many.

    What speaks of trouble is no progress.
    """
    said = repeats.count
    calm = (label == CONTEXT) & ((view.bits & LOUD) == 0)
    return np.asarray(calm & (said > OFTEN) & (repeats.nth > 0) & (said - repeats.nth > LATEST), np.bool_)


def per_block(view: View, score: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Best score of the block around each line, and whether a word of trouble stands in it."""
    order, starts = sorted_groups(view.block)
    sizes = np.diff(starts)
    top, trouble = np.empty(len(score), np.float32), np.empty(len(score), bool)
    top[order] = np.repeat(np.maximum.reduceat(score[order], starts[:-1]), sizes)
    trouble[order] = np.repeat(np.bitwise_or.reduceat(view.bits[order] & TROUBLE, starts[:-1]) != 0, sizes)
    return top, trouble

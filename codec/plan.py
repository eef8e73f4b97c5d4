"""What predicts each column: its own past, by a moving average or a trend, and other columns of the same step.
FORMAT.md, section 7."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .backend import Latents, Mask, backend
from .limits import BLOCK, MAX_REFS
from .reference.prediction import TREND
from .streams import expand_up_to
from .varint import Cursor

CANDIDATES = np.array([0, 1, 2, 3, 5, TREND], np.uint8)
STILL = np.array([16], np.uint8)  # as good as no prediction: the first value
FIT_STEPS = 1024  # steps that a fit across columns looks at
FIT_SCALE, FIT_CLIP = 128, 1024  # mean and largest magnitude in a fit: exact in 16 bits, and spikes do not rule it
REF_BITS = 24  # what a reference costs
REFS = 4  # columns that may predict a column: eight gain 0.1 to 0.5 % on recorded runs, and cost a tenth of the speed


@dataclass(frozen=True)
class Plan:
    """kinds (columns), first latents (columns), and for column j the references columns[starts[j]:starts[j+1]] with
    weights in 1/256."""

    kinds: NDArray[np.uint8]
    firsts: Latents
    starts: NDArray[np.int32]
    columns: NDArray[np.int32]
    weights: NDArray[np.int16]

    def floats(self) -> NDArray[np.float32]:
        floats: NDArray[np.float32] = self.weights * np.float32(1 / 256)
        return floats

    def closure(self, wanted: NDArray[np.intp]) -> NDArray[np.uint8]:
        """1 for each column that is wanted, or predicts one that is."""
        needed = np.zeros(len(self.kinds), np.uint8)
        needed[wanted] = 1
        for j in range(len(self.kinds) - 1, -1, -1):
            if needed[j]:
                needed[self.columns[self.starts[j] : self.starts[j + 1]]] = 1
        return needed


def fit(
    x: Latents, mask: Mask, low: int, high: int, candidates: NDArray[np.uint8] = CANDIDATES
) -> tuple[Plan, Latents, NDArray[np.uint8]]:
    """The plan for latents (columns, steps) in [low, high], the residuals it leaves, the class of each block."""
    # A moving average of differences that wrap is no average, and may leave the range where a sample is marked; its state
    # has 64 bits, and is up to 2**5 times as wide as the range.
    if high - low >= 1 << (31 if x.itemsize == 4 else 58):
        candidates = CANDIDATES[[0, -1]]
    kinds = backend().choose(x, mask, candidates)
    e, firsts = backend().innovations(x, kinds, mask)
    plan = Plan(kinds, np.clip(firsts, low, high), *across(e, REFS if candidates is not STILL else 0))
    r, classes, classes_alone = backend().residuals(e, plan.starts, plan.columns, plan.floats(), mask)
    # Least squares see spikes more than they cost: references stay where they do save, at half a bit a class and step.
    refs = np.diff(plan.starts)
    saved = (classes_alone.astype(np.int64) - classes).sum(1) * (BLOCK // 2)
    drop = (refs > 0) & (saved < REF_BITS * refs)
    if not drop.any():
        return plan, r, classes
    r[drop], classes[drop] = e[drop], classes_alone[drop]
    keep = np.repeat(~drop, refs)
    starts = np.concatenate([[0], np.cumsum(np.where(drop, 0, refs))]).astype(np.int32)
    return Plan(kinds, plan.firsts, starts, plan.columns[keep], plan.weights[keep]), r, classes


def across(e: Latents, most: int = REFS) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int16]]:
    """For each column the earlier columns that tell most of it, by least squares over a sample of steps."""
    part = e[:, :: max(1, e.shape[1] // FIT_STEPS)].astype(np.float32)
    mean = np.abs(part).mean(1, dtype=np.float64) if part.size else np.zeros(len(e))
    # Below a latent a step a column is hardly more than its rounding, which no other column foretells.
    scale = np.where(mean >= 1, FIT_SCALE / np.maximum(mean, 1), 0.0)
    sample = np.rint(np.clip(part * scale[:, None].astype(np.float32), -FIT_CLIP, FIT_CLIP)).astype(np.int16)
    gram = backend().gram(sample).astype(np.float64)
    rounding = scale * scale / 12 * part.shape[1]  # a prediction is rounded to a latent
    starts, columns, fitted = backend().select(gram, rounding, float(e.shape[1]), most)
    target = np.repeat(np.arange(len(e)), np.diff(starts))
    scaled = np.rint(fitted * scale[columns] / np.where(scale[target] > 0, scale[target], 1.0) * 256)
    weights = np.clip(scaled, -(2**15), 2**15 - 1).astype(np.int16)
    order = np.lexsort((columns, target))
    return starts, columns[order], weights[order]


def dump(plan: Plan) -> bytes:
    """kinds | firsts | counts of references | columns, low then high bytes | weights, low then high bytes."""
    columns = plan.columns.astype("<u2").view(np.uint8).reshape(-1, 2).T
    weights = plan.weights.astype("<i2").view(np.uint8).reshape(-1, 2).T
    counts = np.diff(plan.starts).astype(np.uint8)
    firsts = plan.firsts.astype(plan.firsts.dtype.newbyteorder("<"), copy=False)
    return b"".join(a.tobytes() for a in (plan.kinds, firsts, counts, columns, weights))


def load(cursor: Cursor, columns: int, dtype: np.dtype[Any]) -> Plan:
    """The plan in the section at the cursor, which moves behind it."""
    part = cursor.part()
    raw = expand_up_to(part, columns * (2 + dtype.itemsize + 4 * MAX_REFS))
    read = backend().read_plan(raw, columns, dtype)
    if read is None:
        raise part.corrupt("the plan has unknown predictors, or references to later columns, or the wrong size")
    return Plan(*read)

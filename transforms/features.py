"""What the class of a line is judged by: its signals, what the text model says of it, and the same of its surroundings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms.score import (
    Floats,
    View,
    block_largest,
    place_features,
    signal_matrix,
    sorted_groups,
    surroundings,
)
from tracewinnow.transforms.words import BIT, NAMES

CLASSES = "acmn"  # actionable, context, metadata, noise
WINDOWS = (2, 8, 30)  # lines before, and lines behind
END = 40  # lines
END_SIGNALS = ("exit", "verdict", "summary", "raised", "passed", "lifecycle")


def probabilities(logits: Floats) -> Floats:
    """Softmax: float32[n, 4] -> float32[n, 4]."""
    up = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf)) if len(logits) else logits
    return np.asarray(up / up.sum(axis=1, keepdims=True), np.float32)


def features(view: View, logits: Floats, own: Floats, rules: Floats) -> Floats:
    """Features of each line: float32[n, len(names())].

    logits: float32[n, 4], of the text model, for each line by itself. own: float32[n], log-odds of each line by itself to be
    evidence. rules: float32[n], what the rules' score says.
    """
    p = probabilities(logits)
    columns: list[Floats] = [
        signal_matrix(view.bits),
        logits - logits.mean(axis=1, keepdims=True),
        block_mean(view.block, p),
    ]
    for reach in WINDOWS:
        columns += [window_mean(p, reach, ahead=False), window_mean(p, reach, ahead=True)]
    alone = {**place_features(view), **surroundings(view, own)}
    columns.append(np.column_stack([own, *alone.values()]))
    relative = p[:, 0] / max(float(p[:, 0].max(initial=0)), 1e-6)
    columns.append(np.column_stack([following(p[:, 0]), relative]))
    strongest = block_largest(view.block, rules)
    columns.append(np.column_stack([rules, strongest, strongest - rules.max(initial=-20)]))
    columns.append(np.tile(ending(view, p[:, 0], rules), (len(rules), 1)))
    return np.ascontiguousarray(np.column_stack(columns), np.float32)


def names() -> list[str]:
    """Names of the features, in order."""
    empty = View(np.zeros(1, np.uint64), np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int32))
    alone = {**place_features(empty), **surroundings(empty, np.zeros(1, np.float32))}
    found = [*NAMES, *(f"text_{c}" for c in CLASSES), *(f"block_{c}" for c in CLASSES)]
    for reach in WINDOWS:
        found += [f"{side}_{reach}_{c}" for side in ("last", "next") for c in CLASSES]
    return [
        *found,
        "own",
        *(f"place_{name}" for name in alone),
        "worse_follows",
        "relative_text",
        "rules",
        "rules_block",
        "rules_relative",
        *(f"end_{one}" for one in ("text", "rules", "worst", *END_SIGNALS)),
    ]


def ending(view: View, strength: Floats, rules: Floats) -> Floats:
    """How the log ends, the same for all of its lines: whether the run went well decides what an error was worth. float32[k].

    The strongest line of the last END by the text model and by the rules, the strongest of all, and which signals stand in the END.
    """
    if not len(rules):
        return np.zeros(3 + len(END_SIGNALS), np.float32)
    bits = int(np.bitwise_or.reduce(view.bits[-END:]))
    signals = [float(bits & BIT[name] != 0) for name in END_SIGNALS]
    return np.array([strength[-END:].max(), rules[-END:].max(), rules.max(), *signals], np.float32)


def block_mean(block: npt.NDArray[np.int64], p: Floats) -> Floats:
    """Mean over the block around each line: float32[n, 4]."""
    found = np.empty_like(p)
    if len(p):
        order, starts = sorted_groups(block)
        sizes = np.diff(starts)
        found[order] = np.repeat(np.add.reduceat(p[order], starts[:-1]) / sizes[:, None], sizes, axis=0)
    return found


def window_mean(p: Floats, reach: int, ahead: bool) -> Floats:
    """Mean over the `reach` lines before (or behind) each line, fewer at the ends, the line itself left out: float32[n, 4]."""
    n = len(p)
    total = np.concatenate([np.zeros((1, p.shape[1])), np.cumsum(p, axis=0, dtype=np.float64)])
    at = np.arange(n)
    low, high = (at + 1, np.minimum(n, at + 1 + reach)) if ahead else (np.maximum(0, at - reach), at)
    return np.asarray((total[high] - total[low]) / np.maximum(1, high - low)[:, None], np.float32)


def following(strength: Floats) -> Floats:
    """Largest strength of all later lines: whether worse comes. float32[n]."""
    if not len(strength):
        return strength
    later = np.maximum.accumulate(strength[::-1])[::-1]
    return np.append(later[1:], np.float32(0)).astype(np.float32)

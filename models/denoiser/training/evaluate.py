"""The figures of EVALUATION.md, from predictions on logs that the model did not see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tracewinnow.models.denoiser.training.dataset import Study
from tracewinnow.models.denoiser.training.fit import Lines, fit, table_of
from tracewinnow.transforms.classify import TROUBLE
from tracewinnow.transforms.features import CLASSES, probabilities
from tracewinnow.transforms.judge import Judge
from tracewinnow.transforms.reread import DOUBT, fused

Ints = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]
BINS = 15
DRAWS = 1000
EXAMPLES, LINE = 2, 110  # mistakes of a kind that are shown, characters of each
PAIRED = (
    "accuracy",
    "macro_f1",
    "actionable_precision",
    "actionable_recall",
    "time_out_recall",
    "healthy_called_actionable",
)
WEIGHTS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
TIME_OUT = re.compile(
    r"tim(?:ed?|ing)[ _-]?out|deadline|watchdog|heartbeat|stalled|\b(?:hang(?:s|ing)?|hung)\b|no progress"
    r"|unresponsive|not responding",
    re.I,
)


@dataclass(slots=True)
class Judged:
    """Labelled segments and what was predicted: one entry a segment. log: number in the study."""

    probability: Probabilities  # float64[n, 4]
    label: Ints
    log: Ints
    source: npt.NDArray[np.str_]
    sampled: npt.NDArray[np.bool_]  # chosen for itself, see dataset.Segment
    time_out: npt.NDArray[np.bool_]
    healthy_trouble: npt.NDArray[np.bool_]  # error-like, of a run that completed
    shown: npt.NDArray[np.object_]  # its first line

    def taken(self, rows: Ints | npt.NDArray[np.bool_]) -> Judged:
        """Some of the segments."""
        return Judged(*(getattr(self, one.name)[rows] for one in fields(self)))


def predict(study: Study, lines: Lines, judge: Judge, rows: Ints) -> Probabilities:
    """Class probabilities of labelled lines: float64[len(rows), 4]."""
    table = table_of(study, lines, judge.text, rows)
    return probabilities(judge.head.logits(table)).astype(np.float64)


def left_out(
    study: Study,
    lines: Lines,
    group: npt.NDArray[np.str_],
    only: list[str],
    tell: Callable[[str], None] = print,
    seed: int = 0,
    judges: dict[str, Judge] | None = None,
) -> Judged:
    """Every group in `only` predicted by a model that saw none of it; it is left in `judges`. group: of each labelled line."""
    parts, rows = [], []
    for name in only:
        ours = np.flatnonzero(group == name)
        judge = fit(study, lines, np.flatnonzero(group != name), seed)
        if judges is not None:
            judges[name] = judge
        parts.append(predict(study, lines, judge, ours))
        rows.append(ours)
        tell(f"left out: {name}")
    return segments(study, lines, np.concatenate(parts), np.concatenate(rows))


def segments(study: Study, lines: Lines, probability: Probabilities, rows: Ints) -> Judged:
    """Lines of a segment have one class: the mean of their logarithms."""
    numbers, first, where = np.unique(lines.segment[rows], return_index=True, return_inverse=True)
    total = np.zeros((len(numbers), 4))
    np.add.at(total, where, np.log(probability + 1e-9))
    total = np.exp(total / np.bincount(where)[:, None])
    head = rows[first]
    log = lines.sample[head]
    bits = np.zeros(len(numbers), np.uint64)
    np.bitwise_or.at(bits, where, lines.bits[rows])
    shown = [study.samples[s].shown[i] for s, i in zip(log.tolist(), lines.line[head].tolist(), strict=True)]
    said = [
        study.samples[s].shown[i] for s, i in zip(lines.sample[rows].tolist(), lines.line[rows].tolist(), strict=True)
    ]
    time_out = np.zeros(len(numbers), bool)
    np.logical_or.at(time_out, where, np.array([TIME_OUT.search(text) is not None for text in said], bool))
    completed = np.array([study.samples[s].outcome == "ok" for s in log.tolist()])
    return Judged(
        total / total.sum(axis=1, keepdims=True),
        lines.label[head],
        log,
        lines.source[head],
        lines.sampled[head],
        time_out,
        completed & ((bits & np.uint64(TROUBLE)) != 0),
        np.array(shown, object),
    )


def figures(judged: Judged) -> dict[str, float]:
    """Accuracy, macro F1, precision and recall of actionable, the two slices, calibration error. NaN where there is none."""
    said, label = judged.probability.argmax(axis=1), judged.label
    f1 = []
    for number in range(len(CLASSES)):
        right = ((said == number) & (label == number)).sum()
        if (label == number).any():
            f1.append(2 * right / ((said == number).sum() + (label == number).sum()))
    actionable = label == 0
    slice_, trouble = actionable & judged.time_out, judged.healthy_trouble
    return {
        "segments": float(len(label)),
        "accuracy": share(said == label),
        "macro_f1": float(np.mean(f1)) if f1 else float("nan"),
        "actionable_precision": share(label[said == 0] == 0),
        "actionable_recall": share(said[actionable] == 0),
        "time_out_recall": share(said[slice_] == 0),
        "healthy_called_actionable": share(said[trouble] == 0),
        "calibration_error": calibration(judged.probability.max(axis=1), said == label),
    }


def share(hits: npt.NDArray[np.bool_]) -> float:
    """Mean, NaN of none."""
    return float(hits.mean()) if len(hits) else float("nan")


def calibration(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error over BINS bins of equal count. Naeini et al. 2015, AAAI, doi 10.1609/aaai.v29i1.9602."""
    order = np.argsort(confidence, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    return float(
        sum(abs(right[part].mean() - confidence[part].mean()) * len(part) for part in bins) / max(1, len(order))
    )


def interval(judged: Judged, draws: int = DRAWS, seed: int = 0) -> dict[str, list[float]]:
    """95 % intervals of the figures, by drawing whole logs with replacement."""
    found: dict[str, list[float]] = {}
    for drawn in drawings(judged, draws, seed):
        for name, value in figures(judged.taken(drawn)).items():
            found.setdefault(name, []).append(value)
    return {name: spread(values) for name, values in found.items()}


def heard(judged: Judged, said: npt.NDArray[np.float32], doubt: float = DOUBT) -> Judged:
    """The same after the encoder was heard where the fast model is in doubt. said: float32[segments, 4], its log-odds."""
    rows = judged.probability.max(axis=1) < doubt
    probability = judged.probability.copy()
    probability[rows] = fused(judged.probability[rows], said[rows])
    return replace(judged, probability=probability)


def paired(one: Judged, other: Judged, draws: int = DRAWS, seed: int = 0) -> dict[str, list[float]]:
    """How much `other` is better on the same segments: difference and its 95 % interval, by drawing whole logs."""
    found: dict[str, list[float]] = {name: [] for name in PAIRED}
    for drawn in drawings(one, draws, seed):
        before, after = figures(one.taken(drawn)), figures(other.taken(drawn))
        for name in PAIRED:
            found[name].append(after[name] - before[name])
    before, after = figures(one), figures(other)
    return {name: [after[name] - before[name], *spread(values)] for name, values in found.items()}


def drawings(judged: Judged, draws: int, seed: int) -> Iterator[Ints]:
    """Numbers of the segments of as many logs as there are, drawn with replacement, `draws` times."""
    logs = np.unique(judged.log)
    members = {log: np.flatnonzero(judged.log == log) for log in logs.tolist()}
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.concatenate([members[log] for log in rng.choice(logs, len(logs)).tolist()])


def spread(values: list[float]) -> list[float]:
    """Where 95 % of the values lie, those that are numbers; NaN where none is."""
    some = [value for value in values if value == value]
    return [float(one) for one in np.percentile(some, [2.5, 97.5])] if some else [float("nan")] * 2


def weighed(judged: Judged, weight: float) -> Judged:
    """The same where actionable counts `weight` times: to miss a cause costs more than to show a line too many."""
    probability = judged.probability * np.array([weight, 1, 1, 1])
    return replace(judged, probability=probability / probability.sum(axis=1, keepdims=True))


def failures(judged: Judged, source: str = "recorded") -> list[dict[str, Any]]:
    """The surest mistakes of each kind in a source whose text is this project's own: label, what was said, how surely, the line."""
    said, sure = judged.probability.argmax(axis=1), judged.probability.max(axis=1)
    found: list[dict[str, Any]] = []
    count: dict[tuple[int, int], int] = {}
    for at in np.argsort(-sure, kind="stable").tolist():
        kind = int(judged.label[at]), int(said[at])
        if judged.source[at] == source and kind[0] != kind[1] and count.get(kind, 0) < EXAMPLES:
            count[kind] = count.get(kind, 0) + 1
            line = " ".join(str(judged.shown[at]).split())[:LINE]
            found.append(
                {"label": CLASSES[kind[0]], "said": CLASSES[kind[1]], "p": round(float(sure[at]), 2), "line": line}
            )
    return found


def report(judged: Judged, draws: int = DRAWS) -> dict[str, Any]:
    """All figures, with intervals, by source and by class, ready for JSON."""
    said = judged.probability.argmax(axis=1)
    confusion = np.zeros((4, 4), int)
    np.add.at(confusion, (judged.label, said), 1)
    return {
        "all": figures(judged),
        "interval": interval(judged, draws),
        "by_source": {
            name: figures(judged.taken(judged.source == name)) for name in dict.fromkeys(judged.source.tolist())
        },
        "by_weight_of_actionable": {str(weight): figures(weighed(judged, weight)) for weight in WEIGHTS},
        "failures": failures(judged),
        "confusion": {"rows are labels, columns what was said": list(CLASSES), "counts": confusion.tolist()},
    }

"""Fitting the denoiser: a text model, and a head that sees the text model's word on a line and on its surroundings.

The text model is a multinomial logistic regression; the head is networks that read along the log (nets.py). It learns from what the
text model says of logs that it was not fitted on (projects in FOLDS parts), because that is what it will see.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from tracewinnow.models.denoiser.ngrams import BUCKETS, hasher
from tracewinnow.models.denoiser.text_model import TextModel
from tracewinnow.models.denoiser.training.dataset import Study
from tracewinnow.models.denoiser.training.nets import LAYERS, fit_nets
from tracewinnow.transforms import features
from tracewinnow.transforms.head import PARTS, Head, linear, reach_of
from tracewinnow.transforms.judge import Judge, seen
from tracewinnow.transforms.score import signal_matrix
from tracewinnow.transforms.signals import NAMES

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
ITERATIONS = 60  # of the text model: stopping early is a prior, too
TEXT_C = 20.0  # inverse strength of the prior, of the text model,
HEAD_C = 0.01  # and of the baseline's head, over features of unit variance
SIGNAL_SCALE = 0.4  # a signal beside a text whose grams have length 1
FOLDS = 3


@dataclass(slots=True)
class Lines:
    """The labelled lines of a study, one entry a line.

    sample: number of its log; line: in that log; segment: number of its segment over all logs; label: class; weight: a segment's
    lines share 1, and a source counts as the square root of its segments.
    """

    sample: Ints
    line: Ints
    segment: Ints
    label: Ints
    weight: npt.NDArray[np.float64]
    source: npt.NDArray[np.str_]
    project: npt.NDArray[np.str_]
    bits: npt.NDArray[np.uint64]
    text: sparse.csr_matrix  # grams and signals


@dataclass(slots=True)
class Near:
    """Labelled lines and those around them, log by log in order: one entry a line.

    sample: number of its log; line: in that log; row: which of the labelled lines it is, -1 where nobody read it.
    """

    sample: Ints
    line: Ints
    row: Ints

    def runs(self) -> Ints:
        """Where each run of neighbouring lines of one log begins, and the end of the last: int64[k + 1]."""
        apart = np.flatnonzero((np.diff(self.sample) != 0) | (np.diff(self.line) != 1)) + 1
        return np.concatenate([[0], apart, [len(self.sample)]]).astype(np.int64)


def near(study: Study, lines: Lines, rows: Ints, reach: int) -> Near:
    """These labelled lines (ascending rows of `lines`), and as many as `reach` before and behind each."""
    parts = []
    for number in np.unique(lines.sample[rows]).tolist():
        of_it = np.flatnonzero(lines.sample[rows] == number)
        at, n = lines.line[rows[of_it]], len(study.samples[number].label)
        row = np.full(n, -1)
        row[at] = of_it
        edges = np.zeros(n + 1, np.int64)
        np.add.at(edges, np.maximum(0, at - reach), 1)
        np.add.at(edges, np.minimum(n, at + reach + 1), -1)
        some = np.flatnonzero(np.cumsum(edges)[:-1])
        parts.append((np.full(len(some), number), some, row[some]))
    return Near(*(np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True)))


def gram_matrix(texts: list[bytes]) -> sparse.csr_matrix:
    """Grams of each text, scaled by the root of their number as TextModel does: float32[n, BUCKETS]."""
    numbers, starts = hasher()(texts)
    sizes = np.diff(starts)
    values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes).astype(np.float32)
    matrix = sparse.csr_matrix((values, numbers, starts), shape=(len(texts), BUCKETS))
    matrix.sum_duplicates()
    return matrix


def lines_of(study: Study) -> Lines:
    """The labelled lines, in the order of the logs."""
    parts, base = [], 0
    for number, one in enumerate(study.samples):
        at = np.flatnonzero(one.label >= 0)
        parts.append((np.full(len(at), number), at, one.segment[at] + base, one.label[at], one.template[at]))
        base += int(one.segment.max(initial=-1)) + 1
    sample, line, segment, label, template = (
        np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True)
    )
    bits = np.array(
        [study.samples[s].view.bits[i] for s, i in zip(sample.tolist(), line.tolist(), strict=True)], np.uint64
    )
    source = np.array([study.samples[s].source for s in sample.tolist()])
    project = np.array([f"{study.samples[s].source}/{study.samples[s].project}" for s in sample.tolist()])
    weight = 1 / np.bincount(segment)[segment]
    for name in set(source.tolist()):
        weight[source == name] /= np.sqrt(weight[source == name].sum())
    weight *= len(weight) / weight.sum()
    grams = gram_matrix(study.templates)[template]
    text = sparse.hstack([grams, sparse.csr_matrix(SIGNAL_SCALE * signal_matrix(bits))]).tocsr()
    return Lines(sample, line, segment, label, weight, source, project, bits, text)


def fit_text(lines: Lines, rows: Ints) -> TextModel:
    """The text model from some of the lines."""
    model = LogisticRegression(C=TEXT_C, max_iter=ITERATIONS, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(lines.text[rows], lines.label[rows], sample_weight=lines.weight[rows])
    weights, bias = whole(model)
    return TextModel(
        np.ascontiguousarray(weights[:BUCKETS].astype(np.float16).astype(np.float32)),  # as it is shipped
        bias,
        np.ascontiguousarray(SIGNAL_SCALE * weights[BUCKETS:]),
    )


def whole(model: LogisticRegression) -> tuple[Floats, Floats]:
    """Weights float32[features, 4] and bias float32[4]; a class that was never seen is impossible."""
    weights, bias = np.zeros((model.coef_.shape[1], 4), np.float32), np.full(4, -20, np.float32)
    weights[:, model.classes_] = model.coef_.T
    bias[model.classes_] = model.intercept_
    return weights, bias


def seen_of(study: Study, text: TextModel, number: int) -> Floats:
    """What the head sees of a log: float32[n, features]."""
    one = study.samples[number]
    distinct, where = np.unique(one.template, return_inverse=True)
    words = text.unseen([study.templates[t] for t in distinct.tolist()])[where]
    return seen(text, one.view, words, one.rules, np.zeros(len(where), np.float32))


def out_of_fold(study: Study, lines: Lines, rows: Ints, some: Near, seed: int = 0) -> Floats:
    """What the head sees of lines, by text models that were not fitted on their project: float32[len(some.line), features].

    rows: the labelled lines that the text models are fitted on, in the logs of `some`.
    """
    projects = sorted(set(lines.project[rows].tolist()))
    part = dict(zip(projects, np.random.default_rng(seed).permutation(len(projects)) % FOLDS, strict=True))
    fold = np.array([part[name] for name in lines.project[rows].tolist()])
    table = np.zeros((len(some.line), len(features.names())), np.float32)
    for number in range(FOLDS):
        ours = np.flatnonzero(np.isin(some.sample, lines.sample[rows[fold == number]]))
        text = fit_text(lines, rows[fold != number])
        table[ours] = table_of(study, text, Near(some.sample[ours], some.line[ours], some.row[ours]))
    return table


def table_of(study: Study, text: TextModel, some: Near) -> Floats:
    """What the head sees of lines: float32[len(some.line), features]."""
    table = np.zeros((len(some.line), len(features.names())), np.float32)
    for number in np.unique(some.sample).tolist():
        of_it = np.flatnonzero(some.sample == number)
        table[of_it] = seen_of(study, text, number)[some.line[of_it]]
    return table


def fit_linear(table: Floats, label: Ints, weight: npt.NDArray[np.float64]) -> Head:
    """The baseline: a linear model over features as they are."""
    mean, deviation = table.mean(axis=0), table.std(axis=0) + 1e-3
    model = LogisticRegression(C=HEAD_C, max_iter=200, tol=1e-3)
    model.fit((table - mean) / deviation, label, sample_weight=weight)
    weights, bias = whole(model)
    weights = (weights / deviation[:, None]).astype(np.float32)
    return linear(weights, (bias - mean @ weights).astype(np.float32))


def fit(study: Study, lines: Lines, rows: Ints, seed: int = 0) -> Judge:
    """The denoiser from some of the labelled lines. The same rows and seed, the same model."""
    some = near(study, lines, rows, reach_of(LAYERS))
    table = out_of_fold(study, lines, rows, some, seed)
    label = np.where(some.row >= 0, lines.label[rows[some.row]], -1)
    return Judge(fit_text(lines, rows), fit_nets(table, label, lines.weight[rows[some.row]], some.runs(), seed), "")


def arrays(judge: Judge) -> dict[str, npt.NDArray[np.generic]]:
    """The denoiser as it is shipped. Its version is a hash of the rest: models that differ have different ones."""
    found: dict[str, npt.NDArray[np.generic]] = {
        "text_weights": judge.text.weights.astype(np.float16),
        "text_bias": judge.text.bias,
        "signal_weights": judge.text.signals,
        **{part: getattr(judge.head, part) for part in PARTS},
        "signal_names": np.array(NAMES),
        "feature_names": np.array(features.names()),
    }
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(name.encode() + np.ascontiguousarray(found[name]).tobytes())
    return {**found, "version": np.array(digest.hexdigest()[:12])}

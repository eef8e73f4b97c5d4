"""Fitting the denoiser: a text model, and a head that sees the text model's word on a line and on its surroundings.

The text model is a multinomial logistic regression; the head is small networks, averaged. It learns from what the text model says
of logs that it was not fitted on (projects in FOLDS parts), because that is what it will see.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from tracewinnow.models.denoiser.message import message
from tracewinnow.models.denoiser.ngrams import BUCKETS, hasher
from tracewinnow.models.denoiser.text_model import TextModel
from tracewinnow.models.denoiser.training.corpus import DENSE
from tracewinnow.models.denoiser.training.dataset import Study
from tracewinnow.transforms import features
from tracewinnow.transforms.head import PARTS, Head
from tracewinnow.transforms.judge import Judge, seen
from tracewinnow.transforms.score import signal_matrix
from tracewinnow.transforms.words import NAMES

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
ITERATIONS = 60  # of the text model: stopping early is a prior, too
TEXT_C = 20.0  # inverse strength of the prior of the text model
SIGNAL_SCALE = 0.4  # a signal beside a text whose grams have length 1
NETS, HIDDEN = 4, 32  # networks of the head, and hidden units of each
EPOCHS, BATCH, RATE, DECAY = 8, 512, 2e-3, 2.0
STEPS = 400  # of each, at least: fewer would leave weights where they began
SURENESS = 0.95  # of their log-odds: on sources that they have not seen they are right less often than they say
CUT = 4.0  # standard deviations at which their features are cut off
FOLDS, DRAWS = 3, 2  # parts of the projects, and how often they are drawn: each net learns from one drawing
BESIDE = 0.3  # weight of a segment that was read because it stands beside a sampled one


@dataclass(slots=True)
class Lines:
    """The labelled lines of a study, one entry a line.

    sample: number of its log; line: in that log; segment: number of its segment over all logs; label: class; weight: a segment's
    lines share 1, or BESIDE, and a source counts as the square root of that. sampled: see dataset.Segment.
    """

    sample: Ints
    line: Ints
    segment: Ints
    label: Ints
    weight: npt.NDArray[np.float64]
    source: npt.NDArray[np.str_]
    project: npt.NDArray[np.str_]
    sampled: npt.NDArray[np.bool_]
    bits: npt.NDArray[np.uint64]
    text: sparse.csr_matrix  # grams and signals


def gram_matrix(texts: list[bytes]) -> sparse.csr_matrix:
    """Grams of the message of each template, scaled by the root of their number as TextModel does: float32[n, BUCKETS]."""
    numbers, starts = hasher()(list(map(message, texts)))
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
    sampled = np.array([study.samples[s].sampled[i] for s, i in zip(sample.tolist(), line.tolist(), strict=True)], bool)
    beside = ~sampled & ~np.isin(source, DENSE)
    weight = np.where(beside, BESIDE, 1) / np.bincount(segment)[segment]
    for name in set(source.tolist()):
        weight[source == name] /= np.sqrt(weight[source == name].sum())
    weight *= len(weight) / weight.sum()
    grams = gram_matrix(study.templates)[template]
    text = sparse.hstack([grams, sparse.csr_matrix(SIGNAL_SCALE * signal_matrix(bits))]).tocsr()
    return Lines(sample, line, segment, label, weight, source, project, sampled, bits, text)


def fit_text(lines: Lines, rows: Ints) -> TextModel:
    """The text model from some of the lines."""
    model = LogisticRegression(C=TEXT_C, max_iter=ITERATIONS, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(lines.text[rows], lines.label[rows], sample_weight=lines.weight[rows])
    weights, bias = whole(model.coef_.T, model.intercept_, model.classes_)
    return TextModel(
        np.ascontiguousarray(weights[:BUCKETS].astype(np.float16).astype(np.float32)),  # as it is shipped
        bias,
        np.ascontiguousarray(SIGNAL_SCALE * weights[BUCKETS:]),
    )


def whole(weights: npt.NDArray[np.float64], bias: npt.NDArray[np.float64], classes: Ints) -> tuple[Floats, Floats]:
    """Of all classes, float32[k, 4] and float32[4], from those of some; one that was never seen is impossible."""
    if len(classes) == 2 and weights.shape[1] == 1:  # scikit-learn keeps one output for two classes
        weights, bias = np.column_stack([np.zeros(len(weights)), weights]), np.concatenate([[0.0], bias])
    found, start = np.zeros((len(weights), 4), np.float32), np.full(4, -20, np.float32)
    found[:, classes], start[classes] = weights, bias
    return found, start


def seen_of(study: Study, text: TextModel, numbers: Iterable[int]) -> dict[int, Floats]:
    """What the head sees of each of these logs: float32[n, features]."""
    told: dict[int, Floats] = {}
    for number in numbers:
        one = study.samples[number]
        distinct, where = np.unique(one.template, return_inverse=True)
        words = text.unseen([study.templates[t] for t in distinct.tolist()])[where]
        told[number] = seen(text, one.view, words, one.rules)
    return told


def out_of_fold(study: Study, lines: Lines, rows: Ints, seed: int = 0) -> Floats:
    """What the head sees of labelled lines, by text models that were not fitted on their project: float32[len(rows), features]."""
    projects = sorted(set(lines.project[rows].tolist()))
    part = dict(zip(projects, np.random.default_rng(seed).permutation(len(projects)) % FOLDS, strict=True))
    fold = np.array([part[name] for name in lines.project[rows].tolist()])
    table = np.zeros((len(rows), len(features.names())), np.float32)
    for number in range(FOLDS):
        ours = np.flatnonzero(fold == number)
        table[ours] = table_of(study, lines, fit_text(lines, rows[fold != number]), rows[ours])
    return table


def table_of(study: Study, lines: Lines, text: TextModel, rows: Ints) -> Floats:
    """What the head sees of labelled lines: float32[len(rows), features]."""
    table = np.zeros((len(rows), len(features.names())), np.float32)
    for sample, told in seen_of(study, text, np.unique(lines.sample[rows]).tolist()).items():
        of_it = np.flatnonzero(lines.sample[rows] == sample)
        table[of_it] = told[lines.line[rows[of_it]]]
    return table


def fit_head(tables: Sequence[Floats], label: Ints, weight: npt.NDArray[np.float64], seed: int = 0) -> Head:
    """NETS networks of HIDDEN units, averaged; they learn from the tables by turns. A class that was never seen is impossible."""
    table = tables[0]
    mean, deviation = table.mean(axis=0), table.std(axis=0) + 1e-2
    epochs = max(EPOCHS, -(-STEPS * BATCH // len(table)))
    nets = [
        MLPClassifier(
            (HIDDEN,),
            alpha=DECAY,
            batch_size=min(BATCH, len(table)),
            learning_rate_init=RATE,
            max_iter=epochs,
            random_state=seed + number,
        )
        for number in range(NETS)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for number, net in enumerate(nets):
            scaled = np.clip((tables[number % len(tables)] - mean) / deviation, -CUT, CUT)
            net.fit(scaled, label, sample_weight=weight)
    hidden = np.concatenate([net.coefs_[0] for net in nets], axis=1) / deviation[:, None]
    hidden[table.std(axis=0) == 0] = 0  # what never varied tells nothing
    threshold = np.concatenate([net.intercepts_[0] for net in nets]) - mean @ hidden
    parts = [whole(net.coefs_[1], net.intercepts_[1], net.classes_) for net in nets]
    out = SURENESS / NETS * np.concatenate([weights for weights, _ in parts])
    bias = SURENESS * np.mean([bias for _, bias in parts], axis=0)
    low, high = mean - CUT * deviation, mean + CUT * deviation
    return Head(*(part.astype(np.float32) for part in (low, high, hidden, threshold, out, bias)))


def fit(study: Study, lines: Lines, rows: Ints, seed: int = 0) -> Judge:
    """The denoiser from some of the labelled lines. The same rows and seed, the same model."""
    tables = [out_of_fold(study, lines, rows, seed + draw) for draw in range(DRAWS)]
    head = fit_head(tables, lines.label[rows], lines.weight[rows], seed)
    return Judge(fit_text(lines, rows), head, "")


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

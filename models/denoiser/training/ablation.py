"""What each part of the model is worth, and whether specialists of a workload are better, every source left out.

    python -m tracewinnow.models.denoiser.training.ablation --data DIR [--out FILE] [--quick]

Writes a JSON object of figures (EVALUATION.md) by variant, and for specialists by workload. The encoder's part is in figures.json.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from tracewinnow.models.denoiser.training import evaluate, run
from tracewinnow.models.denoiser.training.command import asked, give
from tracewinnow.models.denoiser.training.dataset import Study
from tracewinnow.models.denoiser.training.fit import (
    ITERATIONS,
    Floats,
    Ints,
    Lines,
    fit_head,
    fit_text,
    lines_of,
    out_of_fold,
    table_of,
    whole,
)
from tracewinnow.transforms import features
from tracewinnow.transforms.classify import classify
from tracewinnow.transforms.words import NAMES

HEAD_C = 0.01  # inverse strength of the baseline's prior
ENOUGH = 300  # labelled segments of a workload, from which it has a specialist
SPECIALISTS = ("specialists, workload told", "specialists, workload guessed")

Probabilities = npt.NDArray[np.float64]


def kept(variant: str) -> npt.NDArray[np.bool_]:
    """Features that a variant of the head sees: bool[features]."""
    names = features.names()
    alone = {*NAMES, "own", *(f"text_{letter}" for letter in features.CLASSES)}
    block = {"rules_block", "place_block", *(f"block_{letter}" for letter in features.CLASSES)}

    def sees(name: str) -> bool:
        if variant == "without context":
            return name in alone
        if variant == "without segmenting":
            return name not in block
        return True

    return np.array([sees(name) for name in names])


def by_rules(study: Study, lines: Lines, rows: Ints) -> Probabilities:
    """What the rules say, as probabilities: float64[len(rows), 4]."""
    found = np.zeros((len(rows), 4))
    for number in np.unique(lines.sample[rows]).tolist():
        one = study.samples[number]
        nothing = np.full(len(one.rules), -1, np.int8)
        said, sure = classify(one.view, one.rules, np.zeros(len(one.rules), np.float32), nothing)
        of_it = np.flatnonzero(lines.sample[rows] == number)
        at = lines.line[rows[of_it]]
        found[of_it] = ((1 - sure[at]) / 3)[:, None]
        found[of_it, said[at]] = sure[at]
    return found


def workloads(study: Study, lines: Lines) -> npt.NDArray[np.str_]:
    """Of each labelled line."""
    return np.array([study.samples[number].workload for number in lines.sample.tolist()])


def router(lines: Lines, workload: npt.NDArray[np.str_], train: Ints, test: Ints) -> npt.NDArray[np.str_]:
    """Workload of test lines, guessed for their log as a whole from its mean grams."""

    def of_logs(rows: Ints) -> tuple[sparse.csr_matrix, Ints, Ints]:
        logs, first, which = np.unique(lines.sample[rows], return_index=True, return_inverse=True)
        share = 1 / np.bincount(which)[which]
        mean = sparse.csr_matrix((share, (which, np.arange(len(rows)))), shape=(len(logs), len(rows)))
        return (mean @ lines.text[rows]).tocsr(), first, which

    grams, first, _ = of_logs(train)
    model = LogisticRegression(C=100.0, max_iter=ITERATIONS, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(grams, workload[train][first])
    grams, _, which = of_logs(test)
    return np.asarray(model.predict(grams))[which]


def specialised(
    tables: tuple[Floats, Floats], lines: Lines, train: Ints, workload: npt.NDArray[np.str_], told: npt.NDArray[np.str_],
    single: Probabilities, seed: int,
) -> Probabilities:  # fmt: skip
    """Each test line by the head of its workload; by the single one where that workload has not ENOUGH. told: of each test line."""
    found: Probabilities = single.copy()
    for name in np.unique(told).tolist():
        ours = np.flatnonzero(workload[train] == name)
        if len(np.unique(lines.segment[train[ours]])) >= ENOUGH:
            head = fit_head([tables[0][ours]], lines.label[train[ours]], lines.weight[train[ours]], seed)
            at = np.flatnonzero(told == name)
            found[at] = features.probabilities(head.logits(tables[1][at]))
    return found


def linear(table: Floats, label: Ints, weight: npt.NDArray[np.float64]) -> Callable[[Floats], Floats]:
    """The baseline's head: logistic regression over features of unit variance. -> log-odds as a function of features."""
    mean, deviation = table.mean(axis=0), table.std(axis=0) + 1e-3
    model = LogisticRegression(C=HEAD_C, max_iter=200, tol=1e-3)
    model.fit((table - mean) / deviation, label, sample_weight=weight)
    weights, bias = whole(model.coef_.T, model.intercept_, model.classes_)
    return lambda some: np.asarray((some - mean) / deviation @ weights + bias, np.float32)


def variants(
    study: Study, lines: Lines, train: Ints, test: Ints, workload: npt.NDArray[np.str_], seed: int
) -> dict[str, Probabilities]:
    """Predictions of test lines by each variant, fitted on train lines."""
    text = fit_text(lines, train)
    tables = out_of_fold(study, lines, train, seed), table_of(study, lines, text, test)
    words = np.array([name.startswith("text_") for name in features.names()])
    found = {
        "rules": by_rules(study, lines, test),
        "words alone": features.probabilities(tables[1][:, words]).astype(np.float64),
    }
    for variant in ("without context", "without segmenting", "linear model", "single model"):
        some = kept(variant)
        table, known = tables[0][:, some], (lines.label[train], lines.weight[train])
        logits = linear(table, *known) if variant == "linear model" else fit_head([table], *known, seed).logits
        found[variant] = features.probabilities(logits(tables[1][:, some])).astype(np.float64)
    for name, told in zip(SPECIALISTS, (workload[test], router(lines, workload, train, test)), strict=True):
        found[name] = specialised(tables, lines, train, workload, told, found["single model"], seed)
    return found


def ablation(
    study: Study, lines: Lines, group: npt.NDArray[np.str_], names: list[str], tell: Callable[[str], None] = print, seed: int = 0
) -> dict[str, evaluate.Judged]:  # fmt: skip
    """Segments judged by each variant, every group in `names` by one that saw none of it. Blocks for some minutes."""
    workload = workloads(study, lines)
    parts: dict[str, list[Probabilities]] = {}
    rows = []
    for name in names:
        rows.append(np.flatnonzero(group == name))
        for variant, said in variants(study, lines, np.flatnonzero(group != name), rows[-1], workload, seed).items():
            parts.setdefault(variant, []).append(said)
        tell(f"left out: {name}")
    where = np.concatenate(rows)
    return {name: evaluate.segments(study, lines, np.concatenate(said), where) for name, said in parts.items()}


def report(study: Study, judged: dict[str, evaluate.Judged]) -> dict[str, Any]:
    """Figures by variant, and by workload for the single model and the specialists."""
    single = judged["single model"]
    workload = np.array([study.samples[number].workload for number in single.log.tolist()])
    by_workload: dict[str, Any] = {}
    for name in np.unique(workload).tolist():
        ours = np.flatnonzero(workload == name)
        row: dict[str, Any] = {"single model": evaluate.figures(single.taken(ours))}
        for variant in SPECIALISTS:
            special = judged[variant].taken(ours)
            row[variant] = evaluate.figures(special)
            row[f"{variant}: gain"] = evaluate.paired(single.taken(ours), special)
        by_workload[name] = row
    return {
        "variants": {name: evaluate.figures(one) for name, one in judged.items()},
        "sampled": {name: evaluate.figures(one.taken(one.sampled)) for name, one in judged.items()},
        "gain over the linear model": evaluate.paired(judged["linear model"], single),
        "by workload": by_workload,
    }


def main() -> None:
    """Print or write the figures."""
    chosen = asked(__doc__)
    study = run.gather(chosen.data, chosen.quick)
    lines = lines_of(study)
    found = report(study, ablation(study, lines, *run.groups(lines), tell=lambda said: None))
    give(json.dumps(run.told(found), indent=1, allow_nan=False) + "\n", chosen.out)


if __name__ == "__main__":
    main()

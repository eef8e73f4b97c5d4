"""The model that tells from a log whether its run completed, and what it is worth on sources left out.

    python -m tracewinnow.models.denoiser.training.outcome --data DIR [--out DIR] [--check]

It is fitted on whole logs whose outcome is known, on their ends, and on beginnings of any of them: those completed nothing, and a
log that just stops must not count as completed. What it sees of a log is what a denoiser says that did not see the log's
source. Each weight is held to its sign. --check writes nothing; it judges each source by models, of lines and of outcomes, that did
not see it (scenes: half of their folders).
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from tracewinnow.models import registry
from tracewinnow.models.denoiser.training import evaluate, healthy
from tracewinnow.models.denoiser.training.corpus import SILENT
from tracewinnow.models.denoiser.training.dataset import Sample, Study
from tracewinnow.models.denoiser.training.fit import Lines, fit, lines_of
from tracewinnow.transforms.classify import ACTIONABLE, TROUBLE, settle
from tracewinnow.transforms.judge import LEAST, Judge, log_odds, seen
from tracewinnow.transforms.outcome import FILE, MARGIN, Outcome, names, quieter, signed_names
from tracewinnow.transforms.outcome import features as features_of
from tracewinnow.transforms.score import Floats, View, score

C = 0.01  # inverse strength of the prior, over features of unit variance
FLAT = 0.01  # added to a feature's deviation
BEGINNINGS = 2  # of each log of at least SHORTEST lines, each from a tenth to nine tenths of it,
SHORTEST = 12
ENDS_FROM, LEAST_END = 150, 30  # and one end of LEAST_END lines or more, of a log of ENDS_FROM
WEIGHT = {"whole": 1.0, "beginning": 0.2, "end": 0.5}
ITERATIONS = 300

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


@dataclass(slots=True)
class Runs:
    """Logs and parts of them, one entry each.

    table: float32[runs, features]. failed: int64, 1 where it did not complete, 0 where it did, -1 where nobody knows. kind: one of
    WEIGHT. sample: number in the study. part: what is left out at once. source: of the log. said: by sample, class probabilities of
    the lines of whole logs, float32[n, 4].
    """

    table: Floats
    failed: Ints
    kind: npt.NDArray[np.str_]
    sample: Ints
    part: npt.NDArray[np.str_]
    source: npt.NDArray[np.str_]
    said: dict[int, Floats]


def parts(found: Study, lines: Lines, group: npt.NDArray[np.str_], left_out: list[str]) -> list[str]:
    """What is left out at once with each log: its group of those that are left out, else one of two halves of the folders."""
    of = dict(zip(lines.sample.tolist(), group.tolist(), strict=True))
    told = [of.get(number, one.source) for number, one in enumerate(found.samples)]
    folders = [one.project.split("/")[0] for one in found.samples]
    rest = sorted({folder for folder, name in zip(folders, told, strict=True) if name not in left_out})
    half = {folder: f"half {number % 2}" for number, folder in enumerate(rest)}
    return [
        name if name in left_out else f"{one.source} {half[folder]}"
        for one, name, folder in zip(found.samples, told, folders, strict=True)
    ]


def runs_of(
    found: Study, lines: Lines, part: list[str], judges: dict[str, Judge], seed: int, tell: Callable[[str], None]
) -> Runs:
    """The logs as the outcome model sees them. judges: by part, one that saw none of it; those missing are fitted, some minutes."""
    draw = np.random.default_rng(seed)
    rows: list[tuple[Floats, int, str, int]] = []
    said: dict[int, Floats] = {}
    of_line = np.array(part)[lines.sample]
    for name in dict.fromkeys(part):
        judge = judges.get(name)
        if judge is None:
            tell(f"left out: {name}")
            judge = fit(found, lines, np.flatnonzero(of_line != name), seed)
        for number in (number for number, its in enumerate(part) if its == name):
            one = found.samples[number]
            distinct, where = np.unique(one.template, return_inverse=True)
            words = judge.text.unseen([found.templates[t] for t in distinct.tolist()])[where]
            for kind, first, end in cuts(len(words), draw):
                whole = kind == "whole"
                view = one.view if whole else cut(one.view, first, end)
                rules = one.rules if whole else score(view)
                p = classes(judge, view, words[first:end], rules)
                if whole:
                    said[number] = p
                table = features_of(view, one.shown[first:end], log_odds(p[:, ACTIONABLE], LEAST), rules)
                rows.append((table, failed(one, kind), kind, number))
    rows.sort(key=lambda row: row[3])  # in the order of the logs, whatever the order of the parts
    sample = np.array([row[3] for row in rows])
    return Runs(
        np.array([row[0] for row in rows], np.float32).reshape(len(rows), len(names())),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows]),
        sample,
        np.array([part[number] for number in sample.tolist()]),
        np.array([found.samples[number].source for number in sample.tolist()]),
        said,
    )


def failed(one: Sample, kind: str) -> int:
    """1 where a log, or a part of it, is not of a run that completed, 0 where it is, -1 where nobody knows.

    Of SILENT many that were broken complete, with a wrong result.
    """
    if kind == "beginning":
        return 1
    return -1 if one.source == SILENT and one.outcome == "failed" else {"ok": 0, "failed": 1}.get(one.outcome, -1)


def cuts(n: int, draw: np.random.Generator) -> list[tuple[str, int, int]]:
    """A log of n lines, and parts of it: kind, first line, end."""
    found = [("whole", 0, n)]
    if n >= SHORTEST:
        found += [("beginning", 0, int(end)) for end in draw.integers(max(5, n // 10), int(n * 0.9), BEGINNINGS)]
    if n >= ENDS_FROM:
        found.append(("end", n - int(np.exp(draw.uniform(np.log(LEAST_END), np.log(n)))), n))
    return found


def cut(view: View, first: int, end: int) -> View:
    """Some lines of a view, their templates numbered in the order in which they come."""
    _, at, number = np.unique(view.template[first:end], return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(at))
    return View(view.bits[first:end], order[number].astype(np.int64), view.block[first:end], view.rank[first:end])


def classes(judge: Judge, view: View, words: Floats, rules: Floats) -> Floats:
    """Class probabilities as the stage has them: float32[n, 4]. words: float32[n, 4], of the text model."""
    return judge.judged(view, seen(judge.text, view, words, rules))


def weights_of(runs: Runs, rows: Ints) -> Doubles:
    """A source counts as the square root of its runs, and those that completed as much as those that did not."""
    weight = np.array([WEIGHT[kind] for kind in runs.kind[rows].tolist()])
    for name in set(runs.source[rows].tolist()):
        weight[runs.source[rows] == name] /= np.sqrt(weight[runs.source[rows] == name].sum())
    for outcome in (0, 1):
        ours = runs.failed[rows] == outcome
        weight[ours] /= max(weight[ours].sum(), 1e-9)
    return np.asarray(weight * len(rows) / 2, np.float64)


def fitted(runs: Runs, rows: Ints) -> Outcome:
    """Logistic regression with a normal prior, every weight held to its sign, from some of the runs whose outcome is known."""
    rows = rows[runs.failed[rows] >= 0]
    table = runs.table[rows].astype(np.float64)
    mean, deviation = table.mean(axis=0), table.std(axis=0) + FLAT
    table = (table - mean) / deviation
    side, weight = runs.failed[rows] * 2.0 - 1, weights_of(runs, rows)

    def loss(values: Doubles) -> tuple[float, Doubles]:
        of = (table @ values[:-1] + values[-1]) * side
        slope = -weight * side * np.exp(-np.logaddexp(0, of))
        prior = values[:-1] / C
        return float(weight @ np.logaddexp(0, -of) + prior @ values[:-1] / 2), np.append(
            table.T @ slope + prior, slope.sum()
        )

    bounds = [(0, None) if sign > 0 else (None, 0) for sign in signed_names().values()]
    start = np.zeros(table.shape[1] + 1)
    options = {"maxiter": ITERATIONS}
    values = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)], options=options).x
    weights = (values[:-1] / deviation).astype(np.float32)
    return Outcome(weights, float(values[-1] - mean @ weights), "")


def left_out(runs: Runs) -> Doubles:
    """Log-odds that each did not complete, by models that saw none of its part: float64[runs]."""
    told = np.zeros(len(runs.failed))
    for name in dict.fromkeys(runs.part.tolist()):
        ours = runs.part == name
        if (known := np.flatnonzero(~ours)).size:
            model = fitted(runs, known)
            told[ours] = runs.table[ours] @ model.weights + model.bias
    return told


def judged(found: Study, lines: Lines, runs: Runs) -> dict[str, Any]:
    """What it is worth, by source and over all: the outcome; lines called actionable and the four classes, before and after."""
    told = left_out(runs)
    whole = runs.kind == "whole"
    after = {
        number: quieter(runs.said[number], found.samples[number].view, float(odds))
        for number, odds in zip(runs.sample[whole].tolist(), told[whole].tolist(), strict=True)
    }
    share = healthy.shares(found)
    figures: dict[str, Any] = {}
    for source in dict.fromkeys(runs.source.tolist()):
        ours = whole & (runs.source == source) & (runs.failed >= 0)
        count = collections.Counter[str]()
        for number in runs.sample[ours].tolist():
            for when, said in (("before", runs.said), ("after", after)):
                count += counted(found.samples[number], said[number], when)
            if number in share:
                one = found.samples[number]
                voteless, printed = healthy.known(found, one, share[number], after[number])
                count += counted(one, voteless, "with a reference", printed)
        figures[source] = {**outcomes(told[ours], runs.failed[ours]), **dict(sorted(count.items()))}
        for kind in ("whole", "beginning"):  # that completed nothing: where the shift begins
            these = (runs.source == source) & (runs.kind == kind) & (runs.failed == 1)
            figures[source][f"{kind}, not complete, shifted"] = evaluate.share(told[these] < -MARGIN)
        figures[source] = {
            name: value for name, value in figures[source].items() if value == value
        }  # JSON knows no NaN
    rows = np.flatnonzero(~np.char.startswith(lines.source, "scenes"))
    rows = rows if len(rows) else np.arange(len(lines.label))
    for when, said in (("before", runs.said), ("after", after)):
        pairs = zip(lines.sample[rows].tolist(), lines.line[rows].tolist(), strict=True)
        p = np.array([said[number][line] for number, line in pairs], np.float64)
        figures[f"classes {when}"] = evaluate.figures(evaluate.segments(found, lines, p, rows))
    return figures


def outcomes(told: Doubles, failed: Ints) -> dict[str, float]:
    """How well the outcome of whole logs is told. AUC: NaN where all ended alike."""
    both = len(set(failed.tolist())) == 2
    return {
        "completed": float((failed == 0).sum()),
        "failed": float((failed == 1).sum()),
        "auc": float(roc_auc_score(failed, told)) if both else float("nan"),
        "accuracy": evaluate.share((told > 0) == (failed == 1)),
    }


def counted(one: Sample, probability: Floats, when: str, share: Floats | None = None) -> collections.Counter[str]:
    """Lines called actionable: error-like ones of a completed run, all and labelled; causes of a failed one, and what else.

    share: float32[n], of healthy runs that print the line.
    """
    n = len(one.label)
    printed = np.zeros(n, np.float32) if share is None else share
    said = settle(probability, printed, np.full(n, -1, np.int8))[0] == ACTIONABLE
    found = collections.Counter[str]()
    if one.outcome == "ok":
        lines = (one.view.bits & TROUBLE) != 0
        for name, some in (("error-like", lines), ("error-like, labelled", lines & (one.label >= 0))):
            found[f"{name}, {when}"] = int((some & said).sum())
            if when != "after":
                found[f"{name}, lines" + " with a reference" * (share is not None)] = int(some.sum())
        found[f"completed runs with such a line, {when}"] = int((lines & said).any())
    else:
        cause = (one.label == ACTIONABLE) | one.marked
        found[f"causes, {when}"] = int((cause & said).sum())
        found[f"called actionable, labelled, {when}"] = int((said & ((one.label >= 0) | one.marked)).sum())
        found["causes, lines"] = int(cause.sum()) if when == "before" else 0
        found[f"failed runs without any, {when}"] = int(cause.any() and not (cause & said).any())
    return found


def save(runs: Runs, out: Path, facts: dict[str, object]) -> str:
    """Write FILE and its line of the manifest, from all runs; equal runs, equal bytes. -> SHA-256, hex."""
    model = fitted(runs, np.arange(len(runs.failed)))
    bias = np.array(model.bias, np.float32)
    version = hashlib.sha256(model.weights.tobytes() + bias.tobytes()).hexdigest()[:12]
    packed: dict[str, npt.NDArray[np.generic]] = {
        "weights": model.weights, "bias": bias, "feature_names": np.array(names()), "version": np.array(version),
    }  # fmt: skip
    whole = runs.kind == "whole"
    known = {"completed": int((runs.failed[whole] == 0).sum()), "failed": int((runs.failed[whole] == 1).sum()), **facts}
    return registry.save(FILE, packed, {"facts": known}, out)


def train(
    found: Study,
    lines: Lines,
    group: npt.NDArray[np.str_],
    only: list[str],
    judges: dict[str, Judge],
    out: Path | None,
    seed: int = 0,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Fit, judge and, where `out` is given, write the model. group, only, judges: as evaluate.left_out has and keeps them.

    -> figures by source, each judged by models that did not see it. Blocks for seconds, and for a minute for each judge missing.
    """
    runs = runs_of(found, lines, parts(found, lines, group, only), judges, seed, tell)
    if out is not None:
        save(runs, out, {"seed": seed, "c": C})
    return judged(found, lines, runs)


def main() -> None:
    """Fit the model, or judge it."""
    from tracewinnow.models.denoiser.training import run  # which may write this file too

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the logs that others wrote")
    parser.add_argument("--out", type=Path, default=registry.FOLDER, help="folder that is written")
    parser.add_argument("--check", action="store_true", help="judge it on sources left out, and write nothing")
    chosen = parser.parse_args()
    found = run.gather(chosen.data, quick=False)
    lines = lines_of(found)
    group, only = run.groups(lines)
    print(json.dumps(train(found, lines, group, only, {}, None if chosen.check else chosen.out), indent=2))


if __name__ == "__main__":
    main()

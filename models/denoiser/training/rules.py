"""Weights of the score (transforms/weights.py), from logs in which the cause is marked.

    python -m tracewinnow.models.denoiser.training.rules --data DIR [--out transforms/weights.py]

Logistic regression with a Gaussian prior, twice: of what a line says by itself, then of the same in its surroundings. A weight
whose sign is known beforehand (an exception tells of trouble, a download does not) is held to it: without that, weights that stand
for the same thing go far apart in opposite directions, and are worth less on sources that were left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from tracewinnow.models.denoiser.training.command import asked, give
from tracewinnow.models.denoiser.training.corpus import SILENT
from tracewinnow.models.denoiser.training.dataset import Sample, Study
from tracewinnow.transforms.classify import ACTIONABLE
from tracewinnow.transforms.score import (
    Floats,
    View,
    own_score,
    place_features,
    repeats,
    signal_matrix,
    surroundings,
)
from tracewinnow.transforms.words import NAMES, bits_of

Weights = dict[str, float]
Both = tuple[Weights, Weights]  # own, surrounded
PRIOR = 50.0  # strength
SPREAD = 0.05  # the least standard deviation of a feature that is counted: a rarer one has a stronger prior
DRAWN = 600  # lines of a log that are no evidence, at most; what they stand for is counted
SAID = 3  # a line that was said so often before is no example
FEW, MANY = 20, 400  # lines up to which those that are evidence, and the others, weigh by the root of their number
TYPICAL = -4.0  # median log-odds of lines that are no evidence: the examples do not say how rare evidence is
BY_SOURCE = 0.25  # logs weigh by the number of those of their source to the minus this
UPWARDS = {
    *NAMES[: NAMES.index("frame")], "place", "diff", "hint", "relative", "block", "before_1", "after_1", "before_4", "after_4",
    "before_16", "after_16", "until_exit_3", "until_exit_10", "until_exit_30", "until_exit_100", "first_exit_3",
    "first_exit_10", "first_exit_30", "first_exit_100",
}  # fmt: skip
DOWNWARDS = {
    "none", "warning", "passed", "fetch", "build", "level_low", "teardown", "setting", "version", "step", "lifecycle", "rule",
    "blank", "frequency", "since_exit_3", "since_exit_10", "since_exit_30", "since_exit_100",
}  # fmt: skip
HEAD = '''"""Weights of the score, in log-odds: what a line says by itself (OWN), and itself in its surroundings (SURROUNDED).

Written by `python -m tracewinnow.models.denoiser.training.rules`, which says how. Names are those of signals.py and of the features
in score.py.
"""
'''


@dataclass(slots=True)
class Examples:
    """Lines of one log. at: int64[k]; evidence: bool[k]; weight: float64[k]; places: of every line of the log."""

    view: View
    at: npt.NDArray[np.int64]
    evidence: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]
    places: dict[str, Floats]


def examples(one: Sample, seed: int = 0) -> Examples | None:
    """What a failed log teaches; None where nothing of it is known to be evidence.

    Evidence is what was marked; where nothing was, what is labelled actionable, against what is labelled otherwise. The marks of
    SILENT taught nothing for other jobs, and cost CI a point.
    """
    told = (one.view.bits & bits_of("blank")) == 0
    marked = one.marked & told
    some = marked.any()
    evidence = np.flatnonzero(marked if some else (one.label == ACTIONABLE) & told)
    others = np.flatnonzero((~one.marked if some else one.label > ACTIONABLE) & told & (repeats(one.view).nth < SAID))
    if one.outcome != "failed" or one.source == SILENT or not len(evidence) or not len(others):
        return None
    count = len(others)
    if count > DRAWN:
        others = np.random.default_rng(seed).choice(others, DRAWN, replace=False)
    return Examples(
        one.view,
        np.concatenate([evidence, others]),
        np.arange(len(evidence) + len(others)) < len(evidence),
        np.repeat(
            [np.sqrt(min(FEW, len(evidence))) / len(evidence), np.sqrt(min(MANY, count)) / len(others)],
            [len(evidence), len(others)],
        ),
        place_features(one.view),
    )


def fit(samples: Iterable[Sample], seed: int = 0) -> Both:
    """The weights, of logs of any kind; those without evidence teach nothing. Blocks for some seconds."""
    samples = list(samples)
    found = [examples(one, seed) for one in samples]
    sources = [one.source for one, known in zip(samples, found, strict=True) if known]
    logs = [one for one in found if one]
    share = np.array([sources.count(name) ** -BY_SOURCE for name in sources])
    share /= share.mean()
    with threadpool_limits(1, user_api="blas"):
        own = regression(logs, share, [one.places for one in logs])
        known = [around(one, own) for one in logs]
        surrounded = regression(logs, share, known)
    others = [
        own_score(one.view.bits, its, surrounded)[one.at[~one.evidence]] for one, its in zip(logs, known, strict=True)
    ]
    surrounded["constant"] = round(surrounded["constant"] + TYPICAL - float(np.median(np.concatenate(others))), 2)
    return own, surrounded


def around(one: Examples, own: Weights) -> dict[str, Floats]:
    """Places and surroundings of every line of a log."""
    return {**one.places, **surroundings(one.view, own_score(one.view.bits, one.places, own))}


def regression(logs: list[Examples], share: npt.NDArray[np.float64], features: list[dict[str, Floats]]) -> Weights:
    """Weights of the signals and of the features of each log, and the constant, rounded to hundredths."""
    tables, names = [], list(NAMES)
    for one, values in zip(logs, features, strict=True):
        names = [*NAMES, *values]
        tables.append(np.column_stack([signal_matrix(one.view.bits[one.at]), *(v[one.at] for v in values.values())]))
    table = np.concatenate(tables).astype(np.float64)
    evidence = np.concatenate([one.evidence for one in logs])
    weight = np.concatenate([one.weight * part for one, part in zip(logs, share.tolist(), strict=True)])
    scale = np.maximum(table.std(axis=0), SPREAD)
    table = np.column_stack([table / scale, np.ones(len(table))])
    prior = np.append(np.full(len(names), PRIOR), 0.0)

    def loss(w: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        odds = table @ w
        wrong = weight * (1 / (1 + np.exp(-odds)) - evidence)
        value = float(weight @ (np.logaddexp(0, odds) - evidence * odds) + prior @ w**2 / 2)
        return value, wrong @ table + prior * w

    held = [(0.0, None) if name in UPWARDS else (None, 0.0) if name in DOWNWARDS else (None, None) for name in names]
    best = minimize(loss, np.zeros(len(prior)), jac=True, method="L-BFGS-B", bounds=[*held, (None, None)]).x
    return {
        name: round(float(w), 2) for name, w in zip([*names, "constant"], best / np.append(scale, 1.0), strict=True)
    }


def left_out(study: Study, sources: Iterable[str], tell: Callable[[str], None] = print) -> dict[str, Both]:
    """Weights by source, fitted without it."""
    found = {}
    for name in sources:
        found[name] = fit(one for one in study.samples if one.source != name)
        tell(f"weights without {name}")
    return found


def source(both: Both) -> str:
    """The weights as a module; those of 0 are left out."""
    parts = [HEAD]
    for name, some in zip(("OWN", "SURROUNDED"), both, strict=True):
        rows = "".join(f'    "{one}": {value},\n' for one, value in some.items() if value)
        parts.append(f"{name}: dict[str, float] = {{\n{rows}}}\n")
    return "\n".join(parts)


def main() -> None:
    """Print or write the weights."""
    from tracewinnow.models.denoiser.training import run

    chosen = asked(__doc__)
    give(source(fit(run.gather(chosen.data, chosen.quick).samples)), chosen.out)


if __name__ == "__main__":
    main()

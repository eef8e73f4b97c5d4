"""Training as one call: from labels to the shipped file, its figures on sources left out, and its card."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
import sklearn
from threadpoolctl import threadpool_limits

from tracewinnow.models import registry
from tracewinnow.models.denoiser.training import (
    card,
    corpus,
    evaluate,
    evidence,
    harmless,
    labels,
    outcome,
    reach,
    rules,
)
from tracewinnow.models.denoiser.training.dataset import Study, study
from tracewinnow.models.denoiser.training.fit import (
    BESIDE,
    CUT,
    DECAY,
    DRAWS,
    EPOCHS,
    FOLDS,
    HIDDEN,
    NETS,
    RATE,
    SIGNAL_SCALE,
    STEPS,
    SURENESS,
    TEXT_C,
    Lines,
    arrays,
    fit,
    lines_of,
)
from tracewinnow.transforms.features import probabilities
from tracewinnow.transforms.judge import FILE, Judge
from tracewinnow.transforms.weights import OWN, SURROUNDED
from tracewinnow.version import VERSION

HERE = Path(__file__).parent.parent
SCENES = HERE / "scenes"
QUICK = 8  # of so many scenes one, in a quick training,
QUICK_PARTS = 3  # that are left out one after the other,
QUICK_DRAWS = 50  # and how many draws for an interval


def gather(data: Path | None, quick: bool) -> Study:
    """The labelled logs. data: logs that others wrote, or None for what the repository holds. quick: some scenes alone."""
    found: Iterator[corpus.Log] = iter(()) if quick else corpus.logs(data, corpus.RECORDED)
    return study(found, labels.FOLDER, sorted(SCENES.rglob("*.txt"))[:: QUICK if quick else 1])


def groups(lines: Lines) -> tuple[npt.NDArray[np.str_], list[str]]:
    """What is left out at once: a source; where there are scenes alone, and then only, a third of their folders."""
    sources = [name for name in dict.fromkeys(lines.source.tolist()) if name != "scenes"]
    if sources:
        return lines.source, sources
    folders = [name.split("/")[1] for name in lines.project.tolist()]
    part = {name: f"part {number % QUICK_PARTS}" for number, name in enumerate(dict.fromkeys(folders))}
    parts = np.array([part[name] for name in folders])
    return parts, list(dict.fromkeys(parts.tolist()))


def train(
    data: Path | None,
    out: Path,
    seed: int = 0,
    quick: bool = False,
    tell: Callable[[str], None] = print,
    encode: bool = False,
) -> dict[str, Any]:
    """Fit, evaluate and write the denoiser: FILE, manifest.json, figures.json, CARD.md and reliability.svg in `out`.

    encode: the encoder, too; needs the extra `torch`. The same data, seed and versions give the same figures, and the same FILE.
    Blocks for minutes, with the encoder for more than an hour on two cores; seconds with `quick`.
    """
    start = time.monotonic()
    found = gather(data, quick)
    lines = lines_of(found)
    tell(f"{len(found.samples)} logs, {len(lines.label)} labelled lines, {len(found.templates)} templates")
    if found.missing:
        tell(f"{len(found.missing)} labelled logs are not there, and are left out: first {found.missing[0]}")
    group, names = groups(lines)
    judges: dict[str, Judge] = {}
    with threadpool_limits(1, user_api="blas"):  # sums shared among threads hang on how many there are
        judged = evaluate.left_out(found, lines, group, names, tell, seed, judges)
        everything = fit(found, lines, np.arange(len(lines.label)), seed)
        ends = outcome.train(found, lines, group, names, judges, out, seed, tell)
    facts = made_from(found, lines, seed, quick)
    facts["templates in both parts"] = shared(lines, group, names)
    facts["sha256"] = registry.save(FILE, arrays(everything), {"facts": dict(facts)}, out)
    harmless.save(found, out)
    said, read = None, None
    if encode:
        from tracewinnow.models.denoiser.training import encoding

        said, facts["encoder"] = encoding.train(found, lines, group, names, out, seed, quick, tell)
        read = reach.segments_read(found, lines, group, names, judges)
    shown = {} if quick else evidence_of(data, found, judges, tell)
    figures = write(judged, said, read, {"evidence": shown, "outcome": ends, "model": facts}, out, quick)
    tell(f"written to {out} after {time.monotonic() - start:.0f} s")
    return figures


def evidence_of(
    data: Path | None, found: Study, judges: dict[str, Judge], tell: Callable[[str], None]
) -> dict[str, Any]:
    """Evidence recall of each source by a fast model and by weights of the rules that saw none of it. judges: by source."""
    weighed = rules.left_out(found, [name for name in evidence.SOURCES if name in judges], tell)
    return evidence.measure(evidence.logs_of(data), judges, tell=tell, weighed=weighed)


def write(
    judged: evaluate.Judged,
    said: npt.NDArray[np.float32] | None,
    read: npt.NDArray[np.bool_] | None,
    others: dict[str, Any],
    out: Path,
    quick: bool = False,
) -> dict[str, Any]:
    """Figures, card and plot. said: float32[segments, 4], log-odds by an encoder that did not see them, or None without one.

    read: bool[segments], whether it reads the segment where it reads no more of a log than it may. others: figures of other kinds,
    and under `model` what it was made from. A figure that cannot be, because there was nothing to count, is None.
    """
    draws = QUICK_DRAWS if quick else evaluate.DRAWS
    whole = judged if said is None else evaluate.heard(judged, said)
    figures, sampled = evaluate.report(whole, draws), whole.sampled
    if sampled.any():
        figures["sampled"] = evaluate.figures(whole.taken(sampled))
    if said is not None and read is not None:
        shipped = reach.only(read, evaluate.heard(judged, said, doubt=2.0), judged)
        figures["as shipped"] = evaluate.figures(shipped)
        if sampled.any():
            figures["sampled as shipped"] = evaluate.figures(shipped.taken(sampled))
            figures["sampled fast"] = evaluate.figures(judged.taken(sampled))
        figures["fast"] = evaluate.report(judged, draws)
        figures["encoder alone"] = evaluate.figures(
            dataclasses.replace(judged, probability=probabilities(said).astype(np.float64))
        )
        figures["gain"] = evaluate.paired(judged, whole, draws)
        if sampled.any():
            figures["sampled gain"] = evaluate.paired(judged.taken(sampled), whole.taken(sampled), draws)
    figures = dict(told({**figures, **others}))
    (out / "figures.json").write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n")
    (out / "CARD.md").write_text(card.text(figures))
    card.reliability(whole, out / "reliability.svg")
    return figures


def told(value: Any) -> Any:
    """The same with None for what is no number: JSON knows no NaN."""
    if isinstance(value, dict):
        return {name: told(one) for name, one in value.items()}
    if isinstance(value, list):
        return [told(one) for one in value]
    return None if isinstance(value, float) and value != value else value


def shared(lines: Lines, group: npt.NDArray[np.str_], names: list[str]) -> float:
    """Share of the labelled lines of these groups whose grams and signals stand in a line of another group, too."""
    text = lines.text
    name = [hash(text.indices[a:b].tobytes() + text.data[a:b].tobytes()) for a, b in pairwise(text.indptr.tolist())]
    groups = defaultdict[int, set[str]](set)
    for one, its in zip(name, group.tolist(), strict=True):
        groups[one].add(its)
    judged = [one for one, its in zip(name, group.tolist(), strict=True) if its in names]
    return sum(len(groups[one]) > 1 for one in judged) / max(1, len(judged))


def made_from(found: Study, lines: Lines, seed: int, quick: bool) -> dict[str, Any]:
    """What the model hangs on: data, configuration, code and versions."""
    digest = hashlib.sha256()
    for one in found.samples:
        digest.update(f"{one.source}/{one.project}/{one.name}".encode() + one.label.tobytes() + one.template.tobytes())
    for template in found.templates:
        digest.update(template + b"\n")
    return {
        "tracewinnow": VERSION,
        "data": digest.hexdigest()[:16],
        "rules": hashlib.sha256(rules.source((OWN, SURROUNDED)).encode()).hexdigest()[:12],
        "logs": len(found.samples),
        "labelled_segments": len(np.unique(lines.segment)),
        "logs_missing": len(found.missing),
        "seed": seed,
        "quick": quick,
        "text_c": TEXT_C,
        "nets": [NETS, HIDDEN, EPOCHS, STEPS, RATE, DECAY, SURENESS, CUT],
        "signal_scale": SIGNAL_SCALE,
        "folds": [FOLDS, DRAWS],
        "beside": BESIDE,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
    }


def again(folder: Path = registry.FOLDER) -> dict[str, Any]:
    """The figures of a written model, read from its folder, with the shipped file checked against the manifest.

    Raises ModelUnavailable where the file is not the one that the manifest names.
    """
    registry.arrays(FILE, folder)
    if not (folder / "figures.json").exists():
        raise registry.ModelUnavailable(f"no figures.json stands beside the model in {folder}")
    try:
        figures: dict[str, Any] = json.loads((folder / "figures.json").read_text())
        known = figures["model"]["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError) as wrong:
        raise registry.ModelUnavailable(f"figures.json in {folder} is damaged: {wrong!r}") from wrong
    if known != hashlib.sha256((folder / FILE).read_bytes()).hexdigest():
        raise registry.ModelUnavailable(f"figures.json in {folder} is of another model than {FILE} beside it")
    return figures

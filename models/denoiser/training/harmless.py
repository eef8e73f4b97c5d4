"""The shipped profile of harmless templates: error-like lines of runs that completed, by hash, and what it is worth.

    python -m tracewinnow.models.denoiser.training.harmless --data DIR [--out DIR] [--check]

In it is a template that a completed run of SOURCES prints with a signal of trouble, that nobody ever labelled actionable or
marked as a cause in any log, and that says enough to be known again (transforms/harmless.py). --check writes nothing; it judges
each source by a model that did not see it and by profiles made without it, and without one project of it at a time.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tracewinnow.models import registry
from tracewinnow.models.denoiser.training.dataset import Sample, Study
from tracewinnow.models.denoiser.training.fit import fit, lines_of, seen_of
from tracewinnow.transforms.classify import ACTIONABLE, TROUBLE, settle, voteless
from tracewinnow.transforms.harmless import FILE, quiet_blocks, telling
from tracewinnow.transforms.judge import Judge
from tracewinnow.transforms.reading import name_of
from tracewinnow.transforms.score import first_lines

SOURCES = ("algoperf", "mlperf", "recorded", "scenes")

Flags = npt.NDArray[np.bool_]


def templates_of(found: Study, without: str = "", project: str = "") -> list[int]:
    """Numbers of the harmless templates, ascending. without: source that is not looked at, or only its `project`."""
    good, bad = set[int](), set[int]()
    for one in found.samples:
        if one.source == without and one.project == (project or one.project):
            continue
        blamed = (one.label == ACTIONABLE) | (one.marked & (one.outcome != "ok"))
        bad.update(one.template[blamed].tolist())
        if one.outcome == "ok" and one.source in SOURCES:
            numbers = one.template[first_lines(one.view.template)]  # of the log's own, in its order
            listed = [found.templates[number] for number in numbers.tolist()]
            good.update(numbers[telling(one.view, listed, np.ones(len(listed), bool))].tolist())
    return sorted(good - bad)


def save(found: Study, out: Path = registry.FOLDER) -> int:
    """Write FILE and its line of the manifest; equal logs, equal bytes. -> number of templates."""
    names = np.array(sorted(int(name_of(found.templates[n]), 16) for n in templates_of(found)), np.uint64)
    version = hashlib.sha256(names.tobytes()).hexdigest()[:12]
    facts = {"templates": len(names), "logs": len(found.samples), "sources": list(SOURCES)}
    registry.save(FILE, {"names": names, "version": np.array(version)}, {"facts": facts}, out)
    return len(names)


def said_of(found: Study, number: int, judge: Judge) -> npt.NDArray[np.float32]:
    """Class probabilities of the lines of a log, as the stage has them: float32[n, 4]."""
    return judge.judged(found.samples[number].view, seen_of(found, judge.text, [number])[number])


def counted(one: Sample, probability: npt.NDArray[np.float32], quiet: dict[str, Flags]) -> collections.Counter[str]:
    """Lines called actionable, without a profile and with each: error-like ones of a completed run, causes of a failed one."""
    result = collections.Counter[str]()
    none = np.zeros(len(one.label), np.float32)
    if one.outcome == "ok":
        kind, lines = "error_like", (one.view.bits & TROUBLE) != 0
    else:
        kind, lines = "actionable", (one.label == ACTIONABLE) | one.marked
    result[f"{kind}: lines"] = int(lines.sum())
    for name, flags in quiet.items():
        said, _ = settle(voteless(probability, flags), none, np.full(len(none), -1, np.int8))
        result[f"{kind}: {name}"] = int((lines & (said == ACTIONABLE)).sum())
    return result


def check(found: Study, tell: Callable[[str], None] = print) -> dict[str, dict[str, int]]:
    """By source, how many lines are called actionable without a profile, and with those made without the source or the project.

    Each source is judged by a model that did not see it. Blocks for some minutes.
    """
    lines = lines_of(found)
    result: dict[str, dict[str, int]] = {}
    for source in dict.fromkeys(one.source for one in found.samples):
        if source == "scenes" or not any(one.source == source and one.outcome == "ok" for one in found.samples):
            continue
        judge = fit(found, lines, np.flatnonzero(lines.source != source))
        strange = templates_of(found, source)
        near: dict[str, list[int]] = {}
        total = collections.Counter[str]()
        for number, one in enumerate(found.samples):
            if one.source != source or one.outcome == "unknown":
                continue
            if one.project not in near:
                near[one.project] = templates_of(found, source, one.project)
            quiet = {
                "no profile": np.zeros(len(one.label), bool),
                "without the source": quiet_blocks(one.view, np.isin(one.template, strange)),
                "without the project": quiet_blocks(one.view, np.isin(one.template, near[one.project])),
            }
            total += counted(one, said_of(found, number, judge), quiet)
        result[source] = dict(sorted(total.items()))
        tell(f"{source}: {result[source]}")
    return result


def main() -> None:
    """Build the profile, or judge it."""
    from tracewinnow.models.denoiser.training import run  # which may write this file too

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the logs that others wrote")
    parser.add_argument("--out", type=Path, default=registry.FOLDER, help="folder that is written")
    parser.add_argument(
        "--check", action="store_true", help="judge it on sources and projects left out, and write nothing"
    )
    chosen = parser.parse_args()
    found = run.gather(chosen.data, quick=False)
    answer: dict[str, Any] = check(found) if chosen.check else {"templates": save(found, chosen.out)}
    print(json.dumps(answer, indent=2))


if __name__ == "__main__":
    main()

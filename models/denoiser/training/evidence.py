"""Evidence recall: how much of what was marked as the cause stands in an answer, by models that did not see its source.

    python -m tracewinnow.models.denoiser.training.evidence --data DIR [--sources logchunks,cidiff] [--shipped] [--answers] [--json]

A marked line counts as shown when its text (white space folded, without terminal codes and a leading time stamp) stands in the
answer. --shipped: by the models in use, encoder included, which saw most of these logs; else each source by a fast model and by
weights of the rules that were fitted without it, which takes a minute a source. --answers: not of the log, but of what is stored
of it, as `tracewinnow show` answers.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tracewinnow.models.denoiser.training import corpus, dataset, evaluate, labels, rules
from tracewinnow.models.denoiser.training.fit import lines_of
from tracewinnow.schemas.trace_pb2 import JobState
from tracewinnow.transforms import preprocess, score, weights
from tracewinnow.transforms.answer import answer
from tracewinnow.transforms.features import CLASSES
from tracewinnow.transforms.judge import Judge
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.trace import Trace
from tracewinnow.transforms.winnow import winnow

BUDGETS = (1000, 2000, 4000)  # tokens
SOURCES = ("logchunks", "cidiff", "algoperf", "recorded", "builds", "jobs")
OWN = ("recorded", "builds", "jobs")  # of these some are so short that all of them fits:
LONG = 120  # lines from which they are counted
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
STAMP = re.compile(r"^(?:[^\t]*\t[^\t]*\t)?\S*?\d{4}-\d\d-\d\dT[\d:.]+Z\s?")
STORED = Options(budget=2000, store_tokens=8000)  # as pipelines store it unless told otherwise
LEAST = 3  # characters of a marked line that counts


def marked(logs: Iterable[corpus.Log], labelled: Mapping[str, list[dataset.Segment]]) -> Iterator[corpus.Log]:
    """The failed logs in which something is marked. labelled: by hash, what is actionable stands for the marks of builds."""
    for one in logs:
        if one.source == "builds":
            told = labelled.get(one.sha256, [])
            one.marked = sorted({line for part in told if CLASSES[part.kind] == "a" for line in part.lines})
        if one.source == "algoperf":
            del one.marked[1:]  # its other ranks say the same
        if one.marked and one.outcome == "failed" and (one.source not in OWN or len(one.lines) >= LONG):
            yield one


def folded(text: str) -> str:
    """Without terminal codes, every run of white space as one blank."""
    return " ".join(CODES.sub("", text).split())


def recall(answer: str, lines: list[str], wanted: Iterable[int]) -> float:
    """Share of the wanted lines, numbers from 0, that stand in the answer; NaN where none says anything."""
    said = folded(answer)
    own = [folded(STAMP.sub("", lines[line])) for line in wanted if line < len(lines)]
    own = [text for text in own if len(text) >= LEAST]
    return sum(text in said for text in own) / len(own) if own else float("nan")


@contextmanager
def judged_by(model: Judge | None, both: rules.Both | None = None) -> Iterator[None]:
    """The stages with this fast model and no encoder, and with these weights of the rules, in this process; None: as they are."""
    own, surrounded = both or (weights.OWN, weights.SURROUNDED)
    heard = mock.patch.multiple(preprocess, judge=lambda: model, encoder=lambda: "left out") if model else nullcontext()
    with mock.patch.multiple(score, OWN=own, SURROUNDED=surrounded), heard:
        yield


Shown = Callable[[list[str], tuple[int, ...]], list[str]]  # of a log's lines, the text at each budget


def of_the_log(lines: list[str], budgets: tuple[int, ...]) -> list[str]:
    """What is shown of a log."""
    text = "\n".join(lines)
    return [winnow(text, budget).text for budget in budgets]


def of_the_job(lines: list[str], budgets: tuple[int, ...]) -> list[str]:
    """What is answered about a job of which this log was imported, from what is stored of it by default."""
    trace = Trace(lines, job_id="job", job=JobState(outcome="imported"))
    kept = preprocess.preprocess(trace, STORED)
    return [answer([kept], budget).text for budget in budgets]


def measure(
    logs: Iterable[corpus.Log],
    judges: Mapping[str, Judge],
    budgets: tuple[int, ...] = BUDGETS,
    tell: Callable[[str], None] = print,
    shown: Shown = of_the_log,
    weighed: Mapping[str, rules.Both] | None = None,
) -> dict[str, Any]:
    """Recall by source and budget: mean over logs and over projects. judges, weighed: by source; none at all: those in use."""
    found: dict[str, list[tuple[str, list[float]]]] = defaultdict(list)
    for one in logs:
        if judges and one.source not in judges:
            continue  # no model is blind to it
        if one.source not in found:
            tell(f"evidence: {one.source}")
        with judged_by(judges.get(one.source), (weighed or {}).get(one.source)):
            shares = [recall(text, one.lines, one.marked) for text in shown(one.lines, budgets)]
        found[one.source].append((one.project, shares))
    return {name: summed(rows, budgets) for name, rows in found.items()}


def summed(rows: list[tuple[str, list[float]]], budgets: tuple[int, ...]) -> dict[str, Any]:
    """Of one source: (project, recall at each budget) of each log. Logs without anything to find are not counted."""
    rows = [row for row in rows if row[1][0] == row[1][0]]
    if not rows:
        return {"logs": 0}
    table, project = np.array([shares for _, shares in rows]), np.array([name for name, _ in rows])
    of_projects = np.array([table[project == name].mean(axis=0) for name in np.unique(project).tolist()])
    return {
        "logs": len(rows),
        "recall": dict(zip(map(str, budgets), table.mean(axis=0).tolist(), strict=True)),
        "mean over projects": dict(zip(map(str, budgets), of_projects.mean(axis=0).tolist(), strict=True)),
    }


def table(figures: Mapping[str, Any]) -> list[str]:
    """The same as rows of Markdown."""
    budgets = next((list(one["recall"]) for one in figures.values() if one["logs"]), [])
    return [
        "| source | logs | " + " | ".join(f"{budget} tokens" for budget in budgets) + " |",
        "| --- |" + " --- |" * (1 + len(budgets)),
        *(
            f"| {name} | {one['logs']} | " + " | ".join(f"{one['recall'][budget]:.3f}" for budget in budgets) + " |"
            for name, one in figures.items()
            if one["logs"]
        ),
    ]


def logs_of(data: Path | None, sources: tuple[str, ...] = SOURCES) -> Iterator[corpus.Log]:
    """The marked logs that are there."""
    return marked(corpus.logs(data, corpus.RECORDED, sources), dataset.labelled(labels.FOLDER))


def main() -> None:
    """Print the figures."""
    from tracewinnow.models.denoiser.training import run  # which measures this, too

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the logs that others wrote")
    parser.add_argument("--sources", default=",".join(SOURCES), help="which sources, by default all: %(default)s")
    parser.add_argument("--shipped", action="store_true", help="by the models in use, encoder included")
    parser.add_argument("--answers", action="store_true", help="of answers about a job, from what is stored of its log")
    parser.add_argument("--json", action="store_true", help="as JSON, with the mean over projects")
    chosen = parser.parse_args()
    sources = tuple(chosen.sources.split(","))
    if unknown := sorted(set(sources) - set(SOURCES)):
        parser.error(f"there is no source {unknown[0]}; it is one of {', '.join(SOURCES)}")

    def tell(said: str) -> None:
        print(said, file=sys.stderr)

    judges: dict[str, Judge] = {}
    weighed: dict[str, rules.Both] = {}
    if not chosen.shipped:
        found = run.gather(chosen.data, quick=False)
        lines = lines_of(found)
        there = [name for name in sources if (lines.source == name).any()]
        evaluate.left_out(found, lines, lines.source, there, tell, judges=judges)
        weighed = rules.left_out(found, there, tell)
    shown = of_the_job if chosen.answers else of_the_log
    figures = measure(logs_of(chosen.data, sources), judges, tell=tell, shown=shown, weighed=weighed)
    print(json.dumps(figures) if chosen.json else "\n".join(table(figures)))


if __name__ == "__main__":
    main()

"""Are counts over what the draw kept, weighted by 1/p, the counts of all that it was drawn from? A simulation over whole logs.

    python -m bench.unbiased [--data DIR] [--json]

Of each log noise and progress that went on are drawn as the pipeline draws them, and three things are estimated from what was
kept: how many such lines there were, how many of them speak of warnings, and how many bytes. Beside the total over all logs
stands its 95 % interval by drawing logs with replacement: it has to hold 1. `kept` is the share of these lines that is needed for
it. Logs: those recorded for this project, and with --data those that others wrote.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from tracewinnow.models.denoiser.training import corpus
from tracewinnow.transforms.denoise import denoise
from tracewinnow.transforms.judge import Judge, judge
from tracewinnow.transforms.reading import read
from tracewinnow.transforms.score import score
from tracewinnow.transforms.words import bits_of

MEASURES = ("lines", "warnings", "bytes")
DRAWS = 2000


def counts(log: corpus.Log) -> list[list[float]]:
    """For each measure: of all that is drawn from, estimated from the kept part, and of the kept part without weights."""
    reading = read(log.lines)
    n = len(log.lines)
    rules, healthy = score(reading.view), np.zeros(n, np.float32)
    model = judge()
    classes = model.classes(reading, rules) if isinstance(model, Judge) else None
    denoised = denoise(reading, rules, healthy, [], False, classes)
    drawn = denoised.drawn
    weight = np.where(drawn & denoised.kept, 1 / denoised.keep_probability, 0)
    found = []
    for value in (
        np.ones(n),
        ((reading.view.bits & bits_of("warning")) != 0).astype(float),
        np.array([len(line) for line in log.lines], float),
    ):
        found.append(
            [float(value[drawn].sum()), float((value * weight).sum()), float(value[drawn & denoised.kept].sum())]
        )
    return found


def main() -> None:
    """Draw, estimate, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    table = np.array([counts(log) for log in corpus.logs(chosen.data, corpus.RECORDED)])  # logs, measures, 3
    rng = np.random.default_rng(0)
    draws = table[rng.integers(0, len(table), (DRAWS, len(table)))].sum(axis=1)
    ratio = draws[:, :, 1] / np.maximum(draws[:, :, 0], 1)
    total = table.sum(axis=0)
    result = {
        name: {
            "all": total[i, 0],
            "estimated / all": round(total[i, 1] / max(1, total[i, 0]), 4),
            "interval": np.percentile(ratio[:, i], [2.5, 97.5]).round(4).tolist(),
            "kept": round(total[i, 2] / max(1, total[i, 0]), 4),
        }
        for i, name in enumerate(MEASURES)
    }
    print(json.dumps({"logs": len(table), **result}, indent=None if chosen.json else 2))


if __name__ == "__main__":
    main()

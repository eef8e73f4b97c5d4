"""Speed and size of stage 1's classifier.

    python -m bench.denoiser [--json]

unseen_per_second: templates that no cache knows, on one core. log.cold, log.warm: seconds of the whole of stage 1 (reading,
score, classes, draw) over a log of 90,000 tokens, the first time in a process that has the model loaded, and again. load: seconds
to read the model from its file. artifacts_mb: all shipped files together. seen_per_second: lines of that log a second, warm.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time

from tracewinnow.models import registry
from tracewinnow.models.denoiser.training import run
from tracewinnow.transforms import judge as judging
from tracewinnow.transforms import preprocess, reading, tokens
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.trace import Trace

TOKENS = 90_000


def log() -> list[str]:
    """Lines of scenes and their variations, as many as make up TOKENS."""
    rng = random.Random(0)
    said = [row[2:] for path in sorted(run.SCENES.rglob("*.txt")) for row in path.read_text().splitlines()[1:] if row]
    lines: list[str] = []
    size = 0
    while size < TOKENS:
        line = rng.choice(said)
        if rng.random() < 0.5:
            line = f"{line} item={rng.randrange(10**6)}"
        lines.append(line)
        size += tokens.count(line + "\n")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    start = time.perf_counter()
    model = judging.judge()
    load = time.perf_counter() - start
    assert isinstance(model, judging.Judge), model
    rng = random.Random(1)
    words = [word for line in log() for word in line.split()]
    unseen = [" ".join(rng.choices(words, k=12)).encode() for _ in range(20_000)]
    start = time.process_time()
    model.text.unseen(unseen)
    per_second = len(unseen) / (time.process_time() - start)
    lines = log()
    reading._known.clear()
    model.text.known.clear()
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        preprocess.denoise_stage(Trace(lines), Options())
        seconds.append(time.perf_counter() - start)
    warm = statistics.median(seconds[1:])
    size = sum(file.stat().st_size for file in registry.FOLDER.iterdir())
    print(
        json.dumps(
            {
                "unseen_per_second": round(per_second),
                "log": {"lines": len(lines), "cold": round(seconds[0], 3), "warm": round(warm, 4)},
                "seen_per_second": round(len(lines) / warm),
                "load": round(load, 3),
                "artifacts_mb": round(size / 1e6, 2),
            },
            indent=None if chosen.json else 2,
        )
    )


if __name__ == "__main__":
    main()

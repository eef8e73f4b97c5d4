"""Lines masked and looked up a second, one core, all templates known; Drain3 with its masks beside it where it is installed.

python -m bench.mask [--json] [--data FOLDER]

The lines are those of a generator that writes training and CI logs of about 70 characters a line, and of the same with 150 and 300;
with --data, those of the *.log and *.gz files under FOLDER. What is timed: the text of each line, as the stages judge it, to its
template, the template's number in the trace and what is remembered of it. Reading lines (escape codes, time stamps)
is timed apart. CPU seconds, best of three.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tracewinnow.transforms import lines as text_lines
from tracewinnow.transforms import reading

LINES = 100_000
DRAIN_LINES = 20_000  # it is slow
WORDS = (
    "loss",
    "step",
    "batch",
    "worker",
    "fetch",
    "shard",
    "queue",
    "retry",
    "flush",
    "commit",
    "index",
    "tensor",
    "grad",
    "norm",
    "cache",
    "layer",
    "socket",
    "peer",
    "build",
    "test",
)
FORMS = (
    "step {n} loss {f} grad_norm {f} lr {f} tokens/s {n}",
    "[{n}/{n}] Building CXX object src/{w}/{w}.cc.o",
    "INFO {w}.{w}: {w} {n} of {n} done in {f}s",
    "worker {n} connected to {ip}:{n} ({w})",
    "tests/test_{w}.py::test_{w}_{w} PASSED [{n}%]",
    "wrote '/data/runs/{h}/{w}-{n}.bin' ({n} bytes)",
    '  File "/opt/app/{w}/{w}.py", line {n}, in {w}',
    "node-{n}:{n}:{n} [{d}] NCCL INFO Channel {n} : {d}[{x}] -> {d}[{x}]",
    "request {u} took {n} ms",
)


def generated(count: int, length: int) -> list[str]:
    """Lines of about `length` characters; the same every time."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(count):
        line = ""
        while len(line) < length * 0.75:
            form = FORMS[rng.integers(len(FORMS))]
            for key, make in _VALUES.items():
                while key in form:
                    form = form.replace(key, make(rng), 1)
            line += (" " if line else "") + form
        found.append(line)
    return found


_VALUES: dict[str, Callable[[np.random.Generator], str]] = {
    "{n}": lambda rng: str(rng.integers(10 ** rng.integers(1, 6))),
    "{d}": lambda rng: str(rng.integers(8)),
    "{f}": lambda rng: f"{rng.exponential():.4g}",
    "{w}": lambda rng: WORDS[rng.integers(len(WORDS))],
    "{h}": lambda rng: rng.bytes(6).hex() + "1a",
    "{x}": lambda rng: "0x" + rng.bytes(4).hex(),
    "{ip}": lambda rng: ".".join(map(str, rng.integers(256, size=4))),
    "{u}": lambda rng: "-".join(rng.bytes(size).hex() for size in (4, 2, 2, 2, 6)),
}


def recorded(folder: Path, count: int) -> list[str]:
    """The first lines of the logs under a folder, at most 4,000 of each."""
    found: list[str] = []
    for path in sorted([*folder.rglob("*.log"), *folder.rglob("*.gz")]):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if path.name.endswith((".json.gz", ".jsonl.gz", ".csv.gz")) or b"\0" in raw[:4096]:
            continue
        found += text_lines.split(text_lines.decode(raw)[0])[:4000]
        if len(found) >= count:
            break
    return found[:count]


def best(work: Callable[[], object], runs: int = 3) -> float:
    """CPU seconds of the fastest run."""
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def look_up(judged: list[str]) -> object:
    """What the stages do with judged lines before they look at words."""
    numbers, templates = reading.template_numbers(judged)
    return numbers, reading.kinds_of(judged, numbers, templates)


def drain(judged: Sequence[str]) -> float:
    """CPU seconds of Drain3, all templates known to it."""
    from drain3 import TemplateMiner  # type: ignore[import-not-found]
    from drain3.masking import MaskingInstruction  # type: ignore[import-not-found]
    from drain3.template_miner_config import TemplateMinerConfig  # type: ignore[import-not-found]

    config = TemplateMinerConfig()
    masks = {
        "ID": r"(?<=[^A-Za-z0-9])|^(?:[0-9a-f]{2,}:){3,}[0-9a-f]{2,}(?=[^A-Za-z0-9])|$",
        "IP": r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)",
        "HEX": r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)",
        "NUM": r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)",
    }
    config.masking_instructions = [MaskingInstruction(pattern, name) for name, pattern in masks.items()]
    miner = TemplateMiner(config=config)
    for line in judged:
        miner.add_log_message(line)
    return best(lambda: [miner.match(line) for line in judged], 1)


def measure(name: str, raw: list[str]) -> dict[str, Any]:
    judged = text_lines.judged(text_lines.visible(raw))
    look_up(judged)
    n = len(judged)
    row: dict[str, Any] = {
        "lines": name,
        "count": n,
        "mean_bytes": round(sum(len(line.encode("utf8", "replace")) for line in judged) / n, 1),
        "templates": len(reading.template_numbers(judged)[1]),
        "masked_and_looked_up_per_s": round(n / best(lambda: look_up(judged))),
        "read_per_s": round(n / best(lambda: text_lines.judged(text_lines.visible(raw)))),
    }
    if find_spec("drain3"):
        part = judged[:DRAIN_LINES]
        row["drain3_per_s"] = round(len(part) / drain(part))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, help="folder with real logs")
    options = parser.parse_args()
    logs = {f"generated, {length}": generated(LINES // (length // 70), length) for length in (70, 150, 300)}
    if options.data:
        logs = {str(options.data.name): recorded(options.data, LINES)}
    rows = [measure(name, raw) for name, raw in logs.items()]
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        beside = f"; Drain3 {row['drain3_per_s']:,}/s" if "drain3_per_s" in row else ""
        print(
            f"{row['lines']:16} {row['count']:,} lines of {row['mean_bytes']} bytes, {row['templates']:,} templates: "
            f"{row['masked_and_looked_up_per_s']:,}/s masked and looked up, {row['read_per_s']:,}/s read{beside}"
        )


if __name__ == "__main__":
    main()

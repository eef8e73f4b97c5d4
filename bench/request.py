"""One debugging request: `winnow` on a log of 90,000 tokens, each log another.

    python -m bench.request [--times 200] [--cold 10] [--tokens 90000] [--json]

warm: calls in one process that has done five before; every log is generated anew, with its own words, numbers and failure. cold:
first call of a fresh process, from the start of the interpreter to the result, imports and vocabulary included; measured fewer
times. cpu_p50 is processor time: on a machine that does other work it is what can be compared. The logs are like those of a
training job on eight GPUs: configuration, step lines, warnings, library chatter, a traceback for each rank, the launcher's report.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SYLLABLES = [
    "ba",
    "cor",
    "den",
    "fi",
    "gra",
    "hel",
    "ix",
    "jo",
    "kern",
    "lum",
    "mo",
    "nar",
    "op",
    "pra",
    "qui",
    "ros",
    "sel",
    "tor",
]
COLD = "import sys, tracewinnow; tracewinnow.winnow(open(sys.argv[1], 'rb').read(), budget=2000)"


def log(seed: int, size: int) -> str:
    """A log of about `size` tokens; another for each seed."""
    from tracewinnow.transforms import tokens

    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(400)]
    chatter = [
        f"[{rng.choice(words)}.{rng.choice(words)}] {' '.join(rng.choices(words, k=rng.randint(3, 10)))}"
        for _ in range(300)
    ]
    rows = [
        f"{rng.choice(words)}_{rng.choice(words)}: {rng.choice([rng.random(), rng.randint(1, 9999), 'true'])}"
        for _ in range(120)
    ]
    step = rng.randint(0, 10_000)
    used = tokens.count("\n".join(rows))
    while used < size:
        part = []
        for _ in range(100):
            kind = rng.random()
            stamp = (
                f"2026-03-0{rng.randint(1, 9)} 10:{rng.randint(10, 59)}:{rng.randint(10, 59)},{rng.randint(100, 999)}"
            )
            if kind < 0.5:
                step += 1
                part.append(
                    f"{stamp} INFO step {step} loss {rng.random() * 9:.4f} grad_norm {rng.random():.3f} lr 3.0e-04"
                )
            elif kind < 0.75:
                part.append(f"{stamp} INFO {rng.choice(chatter)} {rng.randint(1, 10**6)}")
            elif kind < 0.85:
                part.append(f"[rank{rng.randint(0, 7)}]: {rng.choice(chatter)} took {rng.random():.3f} s")
            elif kind < 0.95:
                part.append(
                    f"{rng.choice(words)}.py:{rng.randint(1, 900)}: UserWarning: {' '.join(rng.choices(words, k=8))} is deprecated"
                )
            else:
                part.append(
                    f"{stamp} DEBUG {' '.join(rng.choices(words, k=rng.randint(4, 14)))} {rng.getrandbits(64):x}"
                )
        rows += part
        used += tokens.count("\n".join(part)) + 1
    for rank in range(8):
        rows.append(f"[rank{rank}]: Traceback (most recent call last):")
        for _ in range(12):
            rows.append(
                f'[rank{rank}]:   File "/opt/{rng.choice(words)}/{rng.choice(words)}.py", line {rng.randint(1, 900)}, in f'
            )
            rows.append(f"[rank{rank}]:     {rng.choice(words)}({rng.choice(words)}, {rng.choice(words)})")
        rows.append(f"[rank{rank}]: RuntimeError: {' '.join(rng.choices(words, k=6))}")
    rows.append("process exited with code 1")
    return "\n".join(rows)


def quantiles(seconds: list[float], cpu: list[float]) -> dict[str, float]:
    """p50 and p99 (the nearest rank), processor time, and how many were measured."""
    ordered = sorted(seconds)
    p99 = ordered[max(0, -(-len(ordered) * 99 // 100) - 1)]
    return {"p50": ordered[len(ordered) // 2], "p99": p99, "cpu_p50": sorted(cpu)[len(cpu) // 2], "runs": len(ordered)}


def warm(times: int, size: int) -> tuple[dict[str, float], list[int]]:
    """Seconds of calls in this process, and the tokens that each log had."""
    import tracewinnow

    seconds, cpu, counted = [], [], []
    for seed in range(-5, times):
        text = log(seed, size)
        start, started = time.perf_counter(), time.process_time()
        trace = tracewinnow.winnow(text, budget=2000)
        if seed >= 0:
            seconds.append(time.perf_counter() - start)
            cpu.append(time.process_time() - started)
            counted.append(trace.tokens_before)
    return quantiles(seconds, cpu), counted


def cold(times: int, size: int) -> dict[str, float]:
    """Seconds of fresh processes."""
    seconds, cpu = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.log"
        for seed in range(times):
            path.write_text(log(seed, size))
            start, started = time.perf_counter(), children()
            subprocess.run([sys.executable, "-c", COLD, str(path)], check=True)
            seconds.append(time.perf_counter() - start)
            cpu.append(children() - started)
    return quantiles(seconds, cpu)


def children() -> float:
    """Processor seconds of the child processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    arguments = argparse.ArgumentParser(description="winnow on a log of 90,000 tokens, cold and warm")
    arguments.add_argument("--times", type=int, default=200)
    arguments.add_argument("--cold", type=int, default=10)
    arguments.add_argument("--tokens", type=int, default=90_000)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    cold_found = cold(options.cold, options.tokens)
    warm_found, counted = warm(options.times, options.tokens)
    found = {
        "cold": cold_found,
        "warm": warm_found,
        "tokens": {"min": min(counted), "max": max(counted)},
        "note": f"seconds; cold: {options.cold} fresh processes, p99 is the slowest; warm: {options.times} logs, each another",
    }
    if options.json:
        # Each figure once more under its dotted path, for readers that do not walk.
        flat = {f"{a}.{b}": v for a, inner in found.items() if isinstance(inner, dict) for b, v in inner.items()}
        print(json.dumps({**found, **flat}))
        return
    for name in ("cold", "warm"):
        print(
            f"{name}: p50 {found[name]['p50'] * 1e3:.0f} ms, p99 {found[name]['p99'] * 1e3:.0f} ms of {found[name]['runs']}"
        )
    print(f"{min(counted)} to {max(counted)} tokens a log")


if __name__ == "__main__":
    main()

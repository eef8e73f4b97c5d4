"""What the logger costs in the job.

    python -m bench.logger [--lines 50000] [--json]

`log`: one `run.log` of a usual line, with a shipper at work that sends to the embedded broker, beside `logging` to a file and
confluent-kafka's `produce` of the same line; the three take turns in blocks of 200, in one process. `step_overhead_percent`:
200 lines in a step of 50 ms of work. `import_ms`: `import tracewinnow.logger` in a fresh process, which imports no numpy.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LINE = "step 12345 loss 2.3456 grad_norm 0.789 lr 3.00e-04 tokens/s 123456 memory 61.2 GiB eta 12:34:56"
BLOCK = 200
STEP_SECONDS = 0.05

BROKER = """
import sys
from confluent_kafka import Producer
producer = Producer({"test.mock.num.brokers": 1, "log_level": 2})
broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
print(f"{broker.host}:{broker.port}", flush=True)
sys.stdin.read()
"""
IMPORT = """
import time
began = time.perf_counter()
import tracewinnow.logger
took = time.perf_counter() - began
import sys
assert "numpy" not in sys.modules
print(took * 1000)
"""


def microseconds(durations: list[int]) -> dict[str, float]:
    """Of durations in nanoseconds."""
    cuts = statistics.quantiles(durations, n=1000)
    return {"p50_us": cuts[499] / 1e3, "p99_us": cuts[989] / 1e3, "p999_us": cuts[998] / 1e3}


def take_turns(calls: dict[str, Callable[[], object]], lines: int) -> dict[str, list[int]]:
    """Nanoseconds of each call."""
    clock = time.perf_counter_ns
    found: dict[str, list[int]] = {name: [] for name in calls}
    for _ in range(lines // BLOCK):
        for name, call in calls.items():
            durations = found[name]
            for _ in range(BLOCK):
                began = clock()
                call()
                durations.append(clock() - began)
    return found


def steps(call: Callable[[], object], count: int) -> list[float]:
    """Percent of a step of 50 ms of work that 200 lines take, for each step."""
    data = bytes(1 << 16)
    found = []
    for _ in range(count):
        until = time.perf_counter() + STEP_SECONDS
        while time.perf_counter() < until:
            hashlib.sha256(data).digest()
        began = time.perf_counter()
        for _ in range(BLOCK):
            call()
        found.append(100 * (time.perf_counter() - began) / STEP_SECONDS)
    return found


def measure(lines: int, folder: Path, address: str) -> dict[str, float | dict[str, float]]:
    from confluent_kafka import Producer

    import tracewinnow.logger

    run = tracewinnow.logger.start(job="bench", accelerator="cpu", bootstrap=address, spool=folder, capture=False)
    logger = logging.getLogger("bench")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    handler = logging.FileHandler(folder / "bench.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "compression.type": "lz4"})
    value = LINE.encode()

    def produce() -> None:
        producer.produce("bench", value=value)
        producer.poll(0)

    logger.addHandler(handler)
    calls: dict[str, Callable[[], object]] = {
        "log": lambda: run.log(LINE),
        "logging": lambda: logger.info(LINE),
        "produce": produce,
    }
    time.sleep(1)  # the shipper is up
    durations = take_turns(calls, lines)
    overhead = steps(lambda: run.log(LINE), 60)
    producer.flush(10)
    run.finish()
    found: dict[str, float | dict[str, float]] = {name: microseconds(durations[name]) for name in calls}
    log, other, sent = (statistics.median(durations[name]) for name in calls)
    found["log_to_logging_ratio"] = log / other
    found["log_to_produce_ratio"] = log / sent
    found["step_overhead_percent"] = statistics.median(overhead)
    found["step_overhead_worst_percent"] = max(overhead)
    found["dropped"] = run.dropped
    return found


def import_ms() -> float:
    runs = [
        subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True) for _ in range(7)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description="What the logger costs in the job.")
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    broker = subprocess.Popen([sys.executable, "-c", BROKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert broker.stdout is not None
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(options.lines, Path(folder), broker.stdout.readline().strip())
    finally:
        broker.kill()
        broker.wait()
    found["import_ms"] = import_ms()
    if options.json:
        # Each figure once more under its dotted path, for readers that do not walk.
        flat = {f"{a}.{b}": v for a, inner in found.items() if isinstance(inner, dict) for b, v in inner.items()}
        print(json.dumps({**found, **flat}))
        return
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{name:28} " + "  ".join(f"{key} {number:.2f}" for key, number in value.items()))
        else:
            print(f"{name:28} {value:.2f}")


if __name__ == "__main__":
    main()

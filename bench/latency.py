"""From the crash of a job to its cause in `tracewinnow show`, streaming.

    python -m bench.latency [--runs 10] [--bootstrap HOST:PORT] [--json]

Each run is a training script of its own that logs for two seconds and then raises; the clock starts at the raise and stops when
`tracewinnow show` has printed the exception's message. Without --bootstrap the embedded broker is used.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Producer

JOB = """
import sys, time, tracewinnow.logger
run = tracewinnow.logger.start(job=sys.argv[1], accelerator="gpu", model="bench", bootstrap=sys.argv[2], spool=sys.argv[3])
for step in range(200):
    run.log(f"step {step} loss {1 / (step + 1):.4f}")
    time.sleep(0.01)
print(f"raised at {time.time()}", flush=True)
raise RuntimeError(f"shard {sys.argv[1]} has a bad checksum")
"""


def show(warehouse: Path, job: str, wanted: str, seconds: float) -> float:
    """Ask until the answer holds the cause; returns the time when it did. Raises TimeoutError."""
    until = time.monotonic() + seconds
    command = [sys.executable, "-m", "tracewinnow", "show", job, "--budget", "500", "--warehouse", str(warehouse)]
    while time.monotonic() < until:
        answer = subprocess.run(command, capture_output=True, text=True)
        if wanted in answer.stdout:
            return time.time()
        time.sleep(0.1)
    raise TimeoutError(f"no answer about {job} within {seconds:g}s: {answer.stderr}")


def measure(runs: int, bootstrap: str, folder: Path) -> list[float]:
    """Seconds from raise to answer, for each run."""
    warehouse = folder / "warehouse"
    stream = [sys.executable, "-m", "tracewinnow", "stream", "--bootstrap", bootstrap, "--warehouse", str(warehouse)]
    running = subprocess.Popen(stream, stderr=subprocess.DEVNULL)
    found = []
    try:
        for number in range(runs):
            job = f"latency-{number}"
            command = [sys.executable, "-c", JOB, job, bootstrap, str(folder / "spool")]
            output = subprocess.run(command, capture_output=True, text=True).stdout
            raised = float(next(row for row in output.splitlines() if row.startswith("raised at")).split()[-1])
            found.append(show(warehouse, job, f"shard {job} has a bad checksum", 60.0) - raised)
            print(f"{job}: {found[-1]:.1f}s", file=sys.stderr)
    finally:
        running.terminate()
        running.wait(90)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--bootstrap", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    embedded = None
    if not options.bootstrap:
        embedded = Producer({"test.mock.num.brokers": 1, "log_level": 3})
        address = next(iter(embedded.list_topics(timeout=10).brokers.values()))
        options.bootstrap = f"{address.host}:{address.port}"
    with tempfile.TemporaryDirectory() as folder:
        found = sorted(measure(options.runs, options.bootstrap, Path(folder)))
    result = {
        "runs": len(found),
        "p50_s": round(statistics.median(found), 2),
        "p95_s": round(found[min(len(found) - 1, int(0.95 * len(found)))], 2),
        "max_s": round(found[-1], 2),
    }
    print(json.dumps(result) if options.json else "  ".join(f"{key} {value}" for key, value in result.items()))


if __name__ == "__main__":
    main()

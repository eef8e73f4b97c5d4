"""Starts the ranks of the job, waits for the first that fails, ends the others and says what came first.

FAULT=nan python -m demo.launch --job NAME --bootstrap HOST:PORT --spool DIR
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from demo.data import write_shards
from demo.ring import listeners
from demo.train import CONFIG
from tracewinnow import logger

GRACE_S = 3.0  # how long the other ranks may go on after the first failure


def start_ranks(world: int, arguments: argparse.Namespace) -> list[subprocess.Popen[bytes]]:
    """One process a rank; what it prints goes to logs/rank<n>.log."""
    sockets = listeners(world)
    ports = ",".join(str(each.getsockname()[1]) for each in sockets)
    ranks = []
    for rank, listening in enumerate(sockets):
        environment = {
            **os.environ,
            "RANK": str(rank),
            "WORLD_SIZE": str(world),
            "RING_PORTS": ports,
            "RING_FD": str(listening.fileno()),
            "JOB": arguments.job,
            "BOOTSTRAP": arguments.bootstrap,
            "SPOOL": arguments.spool,
            "ERROR_FILE": f"logs/error{rank}.json",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        with open(f"logs/rank{rank}.log", "wb") as printed:
            ranks.append(
                subprocess.Popen(
                    [sys.executable, "-m", "demo.train"],
                    env=environment,
                    stdout=printed,
                    stderr=printed,
                    pass_fds=[listening.fileno()],
                )
            )
    for each in sockets:
        each.close()
    return ranks


def wait(ranks: list[subprocess.Popen[bytes]]) -> dict[int, float]:
    """When each failed rank ended (Unix seconds). After the first the others get GRACE_S, then a signal."""
    ended: dict[int, float] = {}
    failed: dict[int, float] = {}
    while len(ended) < len(ranks):
        for rank, process in enumerate(ranks):
            if rank not in ended and process.poll() is not None:
                ended[rank] = time.time()
                if process.returncode:
                    failed[rank] = ended[rank]
                    print(
                        f"[launcher] rank {rank} (pid {process.pid}) exited with code {process.returncode}", flush=True
                    )
        if failed and time.time() - min(failed.values()) > GRACE_S:
            for rank, process in enumerate(ranks):
                if rank not in ended:
                    late = time.time() - min(failed.values()) > 3 * GRACE_S
                    kind = "SIGKILL" if late else "SIGTERM"
                    print(
                        f"[launcher] rank {rank} (pid {process.pid}) does not end by itself, sending {kind}", flush=True
                    )
                    process.send_signal(signal.SIGKILL if late else signal.SIGTERM)
            time.sleep(1)
        time.sleep(0.05)
    return failed


def describe(ranks: list[subprocess.Popen[bytes]], failed: dict[int, float]) -> str:
    """The block that ends the log of a failed launch: every failure, and the one that came first."""
    rows = []
    for rank, when in failed.items():
        process = ranks[rank]
        code, note = process.returncode, Path(f"logs/error{rank}.json")
        if note.exists():
            error = json.loads(note.read_text())
            when, message = error["time"], error["message"]
        elif code < 0:
            message = f"Signal {-code} ({signal.Signals(-code).name}) received by PID {process.pid}"
        else:
            message = "no message"
        fields = {
            "time": datetime.fromtimestamp(when).isoformat(timespec="milliseconds"),
            "host": socket.gethostname(),
            "rank": f"{rank} (local_rank: {rank})",
            "exitcode": f"{code} (pid: {process.pid})",
            "error": message,
        }
        # A process that a signal ended wrote no time: it was seen later than its neighbours wrote theirs.
        unasked = code == -signal.SIGKILL and not note.exists()
        rows.append((not unasked, when, "\n".join(f"  {name:<9} : {value}" for name, value in fields.items())))
    rows.sort()
    others = (
        "\n".join(f"[{number}]:\n{row}" for number, (_, _, row) in enumerate(rows[1:], 1)) or "  <NO_OTHER_FAILURES>"
    )
    return "\n".join(
        ["=" * 60, "demo.train FAILED", "-" * 60, "Failures:", others, "-" * 60, "Root Cause (first observed failure):",
         f"[0]:\n{rows[0][2]}", "=" * 60]
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo.launch")
    parser.add_argument("--job", required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--spool", required=True)
    parser.add_argument("--ranks", type=int, default=4)
    arguments = parser.parse_args()
    Path("logs").mkdir(exist_ok=True)
    write_shards(Path(str(CONFIG["data"]["folder"])), CONFIG["data"]["shards"])
    ranks = start_ranks(arguments.ranks, arguments)
    # After the ranks, so that they do not print into what the logger of this process captures.
    run = logger.start(
        job=arguments.job,
        accelerator="gpu",
        model="byte-mlp",
        bootstrap=arguments.bootstrap,
        spool=arguments.spool,
        world_size=arguments.ranks,
    )
    print(f"[launcher] started {arguments.ranks} ranks: {' '.join(str(process.pid) for process in ranks)}", flush=True)
    try:
        failed = wait(ranks)
    except KeyboardInterrupt:
        for process in ranks:
            process.kill()
        raise
    if failed:
        print(describe(ranks, failed), flush=True)
    code = 1 if failed else 0
    run.finish(code)
    sys.exit(code)


if __name__ == "__main__":
    main()

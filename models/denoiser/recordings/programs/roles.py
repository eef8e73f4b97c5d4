"""A launcher of several roles (store, trainer, evaluator): starts them in order, restarts with growing pauses, gives up."""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
import time

ROLES = {
    "store": """
import socket, time
server = socket.create_server(("127.0.0.1", PORT))
print("store: listening on", PORT, flush=True)
time.sleep(30)
""",
    "trainer": """
import time
for n in range(60):
    print(f"iter {n} loss {2.3 / (1 + n / 9):.4f} lr 3e-4", flush=True)
    time.sleep(0.05)
""",
    "evaluator": """
import time
for n in range(6):
    time.sleep(0.5)
    print(f"eval {n}: acc {0.5 + n / 20:.3f}", flush=True)
""",
}
BROKEN = {
    "crash-loop": ("trainer", "import os; print('reading credentials', flush=True); os.environ['STORE_TOKEN']"),
    "store-absent": (
        "store",
        "import time; print('store: waiting for the lease of the last leader', flush=True); time.sleep(30)",
    ),
    "none-once": ("trainer", "import sys; print('cannot reach the store yet', flush=True); sys.exit(75)"),
    "oom": ("trainer", "import os; print('iter 0 loss 2.3000 lr 3e-4', flush=True); os.kill(os.getpid(), 9)"),
    "bad-image": ("evaluator", ""),
    "port": ("store", "import socket\none, two = [socket.create_server(('127.0.0.1', PORT)) for _ in range(2)]"),
}


def event(kind: str, **fields: object) -> None:
    print(json.dumps({"ts": round(time.time(), 3), "event": kind, **fields}), flush=True)


def start(role: str, source: str, port: int, binary: str = sys.executable) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [binary, "-c", source.replace("PORT", str(port))], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "ROLE": role},
    )  # fmt: skip

    def forward() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(f"{role:>9}/0 | {line.decode()}")
            sys.stdout.flush()

    threading.Thread(target=forward, daemon=True).start()
    event("started", role=role, pid=process.pid)
    return process


def ready(port: int, limit: float) -> bool:
    until = time.time() + limit
    while time.time() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return True
        except OSError as error:
            event("probe_failed", role="store", error=str(error))
            time.sleep(0.5)
    return False


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fault = arguments.fault
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sources = dict(ROLES)
    if fault in BROKEN:
        sources[BROKEN[fault][0]] = BROKEN[fault][1]
    event("plan", roles=list(sources), restart_policy="on-failure", max_restarts=3, backoff_s=[0.5, 1, 2])
    running = {"store": start("store", sources["store"], port)}
    if not ready(port, 5) or running["store"].poll() is not None:
        event(
            "fatal", reason="readiness deadline exceeded", role="store", waited_s=5, exit_code=running["store"].poll()
        )
        running["store"].kill()
        sys.exit(1)
    restarts = 0
    for role in ("trainer", "evaluator"):
        binary = "/opt/runtime/bin/python9" if fault == "bad-image" and role == "evaluator" else sys.executable
        try:
            running[role] = start(role, sources[role], port, binary)
        except OSError as error:
            event("fatal", reason="cannot start", role=role, error=str(error))
            for process in running.values():
                process.kill()
            sys.exit(1)
    while any(running[role].poll() is None for role in ("trainer", "evaluator")):
        time.sleep(0.1)
        code = running["trainer"].poll()
        if code:
            event(
                "exited",
                role="trainer",
                exit_code=code,
                reason="Error" if code > 0 else f"signal {-code}",
                restarts=restarts,
            )
            if restarts == 3:
                event("fatal", reason="BackOff: restart limit reached", role="trainer", exit_code=code)
                for process in running.values():
                    process.kill()
                sys.exit(1)
            time.sleep(0.5 * 2**restarts)
            restarts += 1
            again = sources["trainer"] if fault != "none-once" else ROLES["trainer"]
            running["trainer"] = start("trainer", again, port)
    running["store"].kill()
    event("succeeded", roles=3)


if __name__ == "__main__":
    main()

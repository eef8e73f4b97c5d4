"""The whole way on one machine: a job breaks, and a short text says why.

    python -m demo --fault nan|oom|killed-rank|hang|missing-file

A broker inside of this process, the pipeline, and the job, each as in production but for their size.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

FAULTS = {
    "nan": "a learning rate that is wrong by a factor of 1000: weights overflow, a check fails later",
    "oom": "one rank runs into its memory limit while the others wait for it",
    "killed-rank": "one rank is killed with SIGKILL, as the kernel does when memory is short",
    "hang": "one rank stops answering, the others time out",
    "missing-file": "a data shard is gone when the third epoch wants it",
}
TOPIC = "telemetry.gpu.v1"
IDLE = "7s"  # the pipeline ends when nothing came for so long; longer than any silence of the job
OUT = Path(__file__).parent / "out"
BEGAN = time.monotonic()


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"[{time.monotonic() - BEGAN:5.1f} s] {text}", file=sys.stderr, flush=True)


class Failed(Exception):
    """The demo cannot go on; the message says what to look at."""


class Children:
    """Processes that this one started, each in a session of its own, so that Ctrl-C reaches them in our order."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, command: list[str], log: Path, folder: Path, **environment: str) -> subprocess.Popen[bytes]:
        with log.open("wb") as out:
            child = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **environment}, start_new_session=True,
            )  # fmt: skip
        self.running.append(child)
        return child

    def end(self) -> None:
        """End what still runs, the one that was started last first; the whole session of each, kindly and then not."""
        for child in reversed(self.running):
            for number, seconds in ((signal.SIGINT, 3.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 1.0)):
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    child.wait(seconds)
                    break
            with suppress(ProcessLookupError):  # what a dead leader left behind
                os.killpg(child.pid, signal.SIGKILL)


def shippers_done(spool: Path, seconds: float) -> bool:
    """Wait until the processes that send for the job have gone: each holds a lock in the spool while it lives."""
    from tracewinnow.logger import session

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        held = []
        for name in session.sessions(spool):
            lock = session.lock(spool, name)
            if lock is None:
                held.append(name)
            else:
                os.close(lock)
        if not held:
            return True
        time.sleep(0.1)
    return False


def start_broker() -> tuple[object, str]:
    """librdkafka's embedded broker: real TCP, 5 MiB a partition, nothing on disk. It lives as long as the object."""
    from confluent_kafka import Producer

    broker = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    [address] = [f"{node.host}:{node.port}" for node in broker.list_topics(timeout=10).brokers.values()]
    broker.list_topics(TOPIC, timeout=10)  # asking for a topic makes it
    return broker, address


def wait(child: subprocess.Popen[bytes], seconds: float, what: str, log: Path, logs: Path) -> int:
    """Its exit code; says every few seconds how much the job has printed. Raises Failed after `seconds`."""
    until, next_word = time.monotonic() + seconds, time.monotonic() + 5
    while child.poll() is None:
        if time.monotonic() > until:
            raise Failed(f"{what} did not end within {seconds:.0f} s; see {log}")
        if time.monotonic() > next_word:
            say(f"  {printed(logs):,} lines so far")
            next_word += 5
        time.sleep(0.1)
    return child.returncode


def printed(logs: Path) -> int:
    """Lines that the ranks have printed."""
    return sum(path.read_bytes().count(b"\n") for path in logs.glob("*.log"))


def run(fault: str, pace: int, folder: Path, address: str, children: Children) -> None:
    """One job from start to answer. Raises Failed."""
    job = f"byte-mlp-{time.strftime('%m%d-%H%M%S')}"
    warehouse, spool, logs = folder / "warehouse", folder / "spool", folder / "logs"
    for path in (spool, logs):
        path.mkdir(parents=True, exist_ok=True)
    tracewinnow = [sys.executable, "-m", "tracewinnow"]

    training = children.start(
        [sys.executable, "-m", "demo.launch", "--job", job, "--bootstrap", address, "--spool", str(spool)],
        logs / "launcher.log", folder, FAULT=fault, STEPS_PER_SECOND=str(pace), PYTHONPATH=str(OUT.parent.parent),
    )  # fmt: skip
    say(f"job {job}: 4 ranks; its fault: {FAULTS[fault]}")
    # After the job, so that an idle beginning is not taken for the end.
    pipeline = children.start(
        [*tracewinnow, "stream", "--bootstrap", address, "--warehouse", str(warehouse), "--topics", TOPIC,
         "--window", "60s", "--until-idle", IDLE], folder / "pipeline.log", folder,
    )  # fmt: skip
    say(f"pipeline reads {TOPIC} into {warehouse}")

    code = wait(training, 120, "the training job", logs / "launcher.log", logs)
    if code == 0:
        raise Failed(f"the job was meant to fail, and did not; see {logs}")
    say(f"the job ended with exit code {code} after {printed(logs):,} lines; the pipeline reads the rest")
    if wait(pipeline, 60, "the pipeline", folder / "pipeline.log", logs):
        raise Failed(f"the pipeline failed; see {folder / 'pipeline.log'}")
    say("the pipeline is done")

    report = folder / "report.html"
    show = [*tracewinnow, "show", job, "--budget", "500", "--warehouse", str(warehouse)]
    answer = subprocess.run([*show, "--html", str(report), "--json"], capture_output=True, text=True)
    if answer.returncode:
        raise Failed(f"no answer: {answer.stderr.strip()}")
    found = json.loads(answer.stdout)
    say("the answer:")
    print(found["text"], flush=True)
    before, after = found["tokens_before"], found["tokens"]
    say(f"{before:,} tokens became {after:,}: {100 * after / max(1, before):.2f} % of them")
    say(f"report     {report}")
    say(f"ask again  {shlex.join(['tracewinnow', *show[3:]])}")
    say(f"all jobs   {shlex.join(['tracewinnow', 'jobs', '--warehouse', str(warehouse)])}")


def main() -> int:
    listed = "\n".join(f"  {name:<13} {what}" for name, what in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Breaks a real training job of 4 ranks and says why it broke in 500 tokens. Takes a minute.",
        epilog=f"faults:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--fault", choices=list(FAULTS), default="nan", metavar="FAULT", help="what goes wrong (default: nan)"
    )
    parser.add_argument(
        "--steps-per-second", type=int, default=10, metavar="N", help="pace of the training (default: 10)"
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="work folder (default: demo/out)")
    parser.add_argument("--keep", action="store_true", help="keep the jobs of earlier runs in the warehouse")
    arguments = parser.parse_args()
    folder = arguments.out.absolute() / arguments.fault
    if not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    children = Children()
    broker = None
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        broker, address = start_broker()
        say(f"broker at {address} (embedded: real TCP, in memory only)")
        run(arguments.fault, arguments.steps_per_second, folder, address, children)
        return 0
    except Failed as failed:
        print(f"The demo failed: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; ending what was started.", file=sys.stderr)
        return 130
    finally:
        # Again Ctrl-C would leave processes behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        children.end()
        shippers_done(folder / "spool", 12)
        del broker


if __name__ == "__main__":
    sys.exit(main())

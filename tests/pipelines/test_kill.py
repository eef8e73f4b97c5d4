"""kill -9 of the pipeline at random moments: nothing is lost, nothing doubled, and the bytes are those of a run in peace."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipelines.feed import TOPIC, Broker, batch, new_process, stored
from tracewinnow.schemas.telemetry_pb2 import TelemetryBatch
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.archive import Archive
from tracewinnow.stores.objects import open_objects

KILLS = 10
JOBS = 3
SECOND = 1_000_000_000


def stream(broker: Broker, warehouse: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tracewinnow", "stream", "--bootstrap", broker.bootstrap, "--topics", TOPIC]
    return subprocess.Popen(
        [*command, "--warehouse", str(warehouse), "--window", "2s", "--disorder", "1s", *more],
        stderr=subprocess.DEVNULL,
    )


def archived(warehouse: Path) -> list[tuple[str, str, int, bytes]]:
    archive = Archive(open_objects(str(warehouse)))
    return [
        (job, found.process_uuid, found.sequence, found.data)
        for job in archive.jobs()
        for window in archive.windows(job)
        for found in archive.read(job, window).batches
    ]


@pytest.mark.timeout(240)
def test_killed_ten_times(broker: Broker, tmp_path: Path) -> None:
    rng = random.Random(11)
    processes = {f"job{j}": new_process() for j in range(JOBS)}
    sent: list[TelemetryBatch] = []

    def feed(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for job, process in processes.items():
                number = len(sent) // JOBS
                sent.append(batch(job, process, number, [f"{job} line {number}.{i} of the run" for i in range(20)]))
                broker.send(sent[-1])
                if rng.random() < 0.05:
                    broker.send(sent[-1])  # delivered twice
            time.sleep(0.05)

    broker.producer.list_topics(TOPIC, timeout=10)  # asking for a topic makes it
    killed = tmp_path / "killed"
    for _ in range(KILLS):
        running = stream(broker, killed)
        feed(rng.uniform(1.0, 5.0))
        running.send_signal(signal.SIGKILL)
        running.wait()
    for job, process in processes.items():
        sent.append(batch(job, process, len(sent) // JOBS, ["the end"], crash="boom"))
        broker.send(sent[-1])
    assert stream(broker, killed, "--until-idle", "1s").wait() == 0
    peace = tmp_path / "peace"
    assert stream(broker, peace, "--until-idle", "1s").wait() == 0

    wanted = sorted((b.job_id, b.process_uuid, b.sequence, b.SerializeToString()) for b in sent)
    assert sorted(archived(killed)) == wanted
    assert stored(killed) == stored(peace)
    lines = sum(PreprocessedTrace.FromString(data).lines_before for data in stored(killed).values())
    assert lines == sum(len(b.events) for b in sent)

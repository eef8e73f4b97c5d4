"""Real jobs in processes of their own, a real broker (librdkafka's embedded one), and what they left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tracewinnow.logger import outbox, session
from tracewinnow.logger.detached import SHELL
from tracewinnow.schemas.telemetry_pb2 import Event, TelemetryBatch

PARTITIONS = 4  # of a topic that the embedded broker makes by itself


class Spool:
    """A spool directory, and what is in its outboxes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def shippers(self, begun: bool = False) -> list[int]:
        """Processes that ship this directory. begun: without those that only start one."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if begun and SHELL[0].encode() == words[0]:
                    continue
                if str(self.path).encode() in words and any(b"tracewinnow.logger.shipping" in word for word in words):
                    found.append(int(entry.name))
        return found

    def kill_shippers(self) -> None:
        for pid in self.shippers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def settle(self, timeout: float = 30.0) -> None:
        """Wait until no shipper works here any more."""
        until = time.monotonic() + timeout
        while self.shippers():
            assert time.monotonic() < until, "a shipper does not end"
            time.sleep(0.02)
        for uuid in session.sessions(self.path):
            while (held := session.lock(self.path, uuid)) is None:
                assert time.monotonic() < until, "a shipper does not end"
                time.sleep(0.02)
            os.close(held)

    def batches(self) -> list[TelemetryBatch]:
        self.settle()
        found = [
            TelemetryBatch.FromString(data) for path in sorted(self.path.glob("*.outbox")) for data in outbox.read(path)
        ]
        for uuid in {batch.process_uuid for batch in found}:
            mine = [batch for batch in found if batch.process_uuid == uuid]
            assert [batch.sequence for batch in mine] == list(range(len(mine)))
            created = [batch.created_ns for batch in mine]
            assert created == sorted(created)
        return found

    def events(self, kind: str = "") -> list[Event]:
        return [event for batch in self.batches() for event in batch.events if kind in ("", event.WhichOneof("kind"))]

    def lines(self, stream: int | None = None) -> list[bytes]:
        return [event.log.text for event in self.events("log") if stream in (None, event.log.stream)]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def start_job(spool: Spool) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a job whose code finds `run`, a started run; keyword arguments go to `start`."""
    processes = []

    def start(
        code: str, *, env: dict[str, str] | None = None, setup: str = "", **arguments: Any
    ) -> subprocess.Popen[bytes]:
        given = {"job": "job-1", "accelerator": "gpu", "spool": str(spool.path), **arguments}
        program = f"{setup}\nimport tracewinnow.logger\nrun = tracewinnow.logger.start(**{given!r})\n{code}"
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def job(start_job: Callable[..., subprocess.Popen[bytes]]) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run a job to its end."""

    def run(code: str, **arguments: Any) -> subprocess.CompletedProcess[bytes]:
        process = start_job(code, **arguments)
        stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    return run


class Broker:
    """librdkafka's embedded cluster: TCP on the loopback, gone with the fixture."""

    def __init__(self) -> None:
        self._producer = Producer({"test.mock.num.brokers": 1, "log_level": 2})
        broker = next(iter(self._producer.list_topics(timeout=10).brokers.values()))
        self.address = f"{broker.host}:{broker.port}"

    def messages(self, topic: str, count: int, timeout: float = 20.0) -> list[Any]:
        """At least `count` messages, and what else is there, by partition and offset."""
        consumer = Consumer(
            {"bootstrap.servers": self.address, "group.id": "test", "log_level": 2, "auto.offset.reset": "earliest"}
        )
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        found: list[Any] = []
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            new = consumer.consume(1000, 0.3)
            assert all(message.error() is None for message in new), [message.error() for message in new]
            found += new
            if not new and len(found) >= count:
                break
        consumer.close()
        return sorted(found, key=lambda message: (message.partition(), message.offset()))


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def dead_port() -> str:
    """An address at which nobody listens."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"

"""Sends the batches of one process from its outbox to Kafka, in sequence, and keeps the acknowledged position.

It always reads from the outbox, so its memory is bounded by what is in flight, however far the broker is behind. The
only module of the logger that imports confluent_kafka.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from tracewinnow.brokers import wrong_address
from tracewinnow.logger import outbox
from tracewinnow.schemas.errors import BadInput

HEADERS = [("schema", b"tracewinnow.v1.TelemetryBatch@1")]
IN_FLIGHT = 32  # batches, so at most 32 MB
BACKOFF_SECONDS = 5.0  # after the broker refused a batch for a reason that may pass
_quiet = logging.getLogger("tracewinnow.librdkafka")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class Sender:
    """Call `pump` often. Sends from the sequence `first` on; with `stop`, up to there and without keeping the position.

    acked: every batch before it is in the broker. acknowledged: how many are by us. refused: those it will never take.

    error: the last reason for not getting on, for people; "" while all is well.

    Raises BadInput for addresses of brokers that cannot be.
    """

    def __init__(
        self,
        directory: Path,
        process_uuid: str,
        bootstrap: str,
        topic: str,
        key: str,
        first: int,
        stop: int | None = None,
    ) -> None:
        self.directory, self.process_uuid, self.topic, self.key = directory, process_uuid, topic, key.encode()
        self.acked = first
        self.stop = stop
        self.acknowledged = 0
        self.refused: dict[int, str] = {}
        self.error = ""
        self._done: set[int] = set()  # acknowledged, behind one that is not
        self._in_flight = 0
        self._generation = 0
        self._saved = first
        self._resume_at = 0.0
        if trouble := wrong_address(bootstrap):
            raise BadInput("bad-bootstrap", trouble)
        self._config: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 5,
            "message.max.bytes": 1_048_588,
            "message.timeout.ms": 0,  # for ever: what is not sent stays in the outbox, and order is kept
            "queue.buffering.max.kbytes": 64 << 10,
            "reconnect.backoff.max.ms": 2000,
            "topic.metadata.propagation.max.ms": 10_000,
            "client.id": "tracewinnow-logger",
            "error_cb": self._on_error,
            "logger": _quiet,
        }
        self._open()

    def _open(self) -> None:
        try:
            self._producer = Producer(self._config)
        except KafkaException as wrong:
            raise BadInput("bad-bootstrap", str(wrong.args[0])) from wrong
        self._generation += 1
        self._in_flight = 0
        self._tail = outbox.Tail(self.directory, self.process_uuid, self.acked)

    def _on_error(self, error: KafkaError) -> None:
        self.error = error.str()

    def pump(self, wait: float = 0.0) -> int:
        """Send what the outbox holds, as far as the window allows; serve deliveries for up to `wait` seconds.

        Returns how many batches are in flight. Raises BadInput and OSError where the outbox cannot be read.
        """
        if time.monotonic() >= self._resume_at:
            if self._resume_at:
                self._resume_at = 0.0
                self._open()
            for entry in self._tail.read(IN_FLIGHT - self._in_flight):
                if self.stop is None or entry.sequence < self.stop:
                    self._send(entry)
        self._producer.poll(wait)
        if self.acked > self._saved and self.stop is None:
            outbox.save_acked(self.directory, self.process_uuid, self.acked)
            self._saved = self.acked
        return self._in_flight

    def _send(self, entry: outbox.Entry) -> None:
        generation, sequence = self._generation, entry.sequence
        if sequence > self.acked and not (self._in_flight or self._done or self.refused):
            self.acked = sequence  # what was before is deleted: it was acknowledged, or its time was over

        def delivered(error: KafkaError | None, _: Any) -> None:
            if generation == self._generation:
                self._in_flight -= 1
                self._delivered(sequence, error)

        if sequence in self.refused or sequence in self._done:
            return
        self._in_flight += 1
        self._producer.produce(
            self.topic,
            key=self.key,
            value=entry.batch,
            headers=HEADERS,
            timestamp=max(0, entry.created_ns // 1_000_000),
            on_delivery=delivered,
        )

    def _delivered(self, sequence: int, error: KafkaError | None) -> None:
        if error is None:
            self.error = ""
            self.acknowledged += 1
            self._done.add(sequence)
            while self.acked in self._done:
                self._done.remove(self.acked)
                self.acked += 1
        elif error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD):
            self.refused[sequence] = error.str()
            self.error = f"the broker refused batch {sequence}: {error.str()}"
        else:
            # Begin again behind the last acknowledged batch, with a fresh producer: doubles have the same bytes.
            self.error = error.str()
            self._resume_at = time.monotonic() + BACKOFF_SECONDS

    def flush(self, seconds: float, progress: Callable[[], None] = lambda: None) -> bool:
        """Send until everything in the outbox is acknowledged; whether it is.

        Gives up after that many seconds without progress. progress: called after each step.
        """
        until = time.monotonic() + seconds
        while True:
            before = self.acked
            in_flight = self.pump(min(0.05, max(0.0, until - time.monotonic())))
            progress()
            if self.acked > before:
                until = time.monotonic() + seconds
            elif not in_flight and not self._resume_at and not self.pump():
                return not self.refused
            if time.monotonic() >= until:
                return False

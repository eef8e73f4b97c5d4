"""Which batches of a job were refused, as far as the dead letters still tell who sent them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError

from tracewinnow.schemas.telemetry_pb2 import TelemetryBatch
from tracewinnow.serving.holes import REFUSED, Batch

FRAME = 6  # bytes that Confluent's framing puts before a batch


def refused_batches(letters: Iterable[tuple[Any, ...]], job_id: str) -> dict[Batch, str]:
    """Batch -> why it is missing. letters: rows of the record as it came, and the code of its refusal; of any job."""
    found: dict[Batch, str] = {}
    for original, code in letters:
        try:
            batch = TelemetryBatch.FromString(original[FRAME:] if original[:1] == b"\0" else original)
        except DecodeError:
            continue
        if batch.job_id == job_id:
            found[batch.process_uuid, batch.sequence] = REFUSED + code
    return found

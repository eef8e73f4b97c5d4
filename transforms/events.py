"""What a batch holds, without a Python object for each of its events where a compiled kernel can read the bytes."""

from __future__ import annotations

from typing import NamedTuple

from tracewinnow.kernels import kernel
from tracewinnow.schemas.telemetry_pb2 import Event, TelemetryBatch

KINDS = Event.DESCRIPTOR.oneofs_by_name["kind"].fields
BIT: dict[str | None, int] = {None: 1}  # an event of no kind that we know
BIT.update((field.name, 1 << field.number) for field in KINDS)


class Survey(NamedTuple):
    """events: how many. earliest_ns, latest_ns: of their times, 0 where there are none. kinds: those of BIT that occur."""

    events: int
    earliest_ns: int
    latest_ns: int
    kinds: int

    def holds(self, *names: str) -> bool:
        """Whether an event of one of these kinds is in the batch."""
        return any(self.kinds & BIT[name] for name in names)


class Logs(NamedTuple):
    """One entry for each log line of one line: text, Unix time, rank (-1 where unknown), level. size: bytes of text."""

    texts: list[str]
    times: list[int]
    ranks: list[int]
    levels: list[int]
    size: int


def survey(batch: TelemetryBatch, data: bytes) -> Survey:
    """How many events of which kinds and times. data: the message of which `batch` was parsed."""
    compiled = kernel("transforms._events")
    found = compiled.survey(data) if compiled is not None else None
    if found is not None:
        return Survey(*found)
    kinds, times = 0, [event.time_ns for event in batch.events]
    for event in batch.events:
        kinds |= BIT[event.WhichOneof("kind")]
    return Survey(len(times), min(times, default=0), max(times, default=0), kinds)


def logs(data: bytes, batch_rank: int) -> Logs | None:
    """The log lines of a serialised batch that holds nothing else; None where it does, or one of them has several lines.

    batch_rank: of the lines that give no rank of their own. data: of a batch that was parsed, so all strings but texts are UTF-8.
    """
    compiled = kernel("transforms._events")
    found = compiled.logs(data, batch_rank) if compiled is not None else None
    return Logs(*found) if found is not None else None

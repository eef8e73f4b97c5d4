"""Cuts what the lanes of a process hold into batches.

Plain state and no I/O but reading lanes: given the state of the last batch in the outbox, the next batch begins with
the very next record, so nothing is lost and nothing doubled, whoever was killed.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tracewinnow.logger import spool, wire
from tracewinnow.schemas.errors import BadInput

BATCH_BYTES = 512 << 10
BATCH_EVENTS = 10_000
BATCH_SECONDS = 0.2  # age of the oldest event when a batch is cut
PARTIAL_SECONDS = 2.0  # a line without its end (a progress bar, a prompt) waits that long
LANES_SECONDS = 1.0  # how often to look for lanes of forked children
OPEN_LANES = 100  # of more, each is opened for each look: forked children are many, and files that may be open are not
# A time further ahead of the clock than this, or before the year 2000, is not kept: one event of it, and a pipeline would refuse
# the whole batch (ahead by 600 s).
AHEAD_NS = 300 * 10**9
EARLIEST_NS = 946_684_800 * 10**9


@dataclass
class Identity:
    """What every batch of a process says about it."""

    job_id: str
    process_uuid: str
    accelerator: str = ""
    model: str = ""
    user: str = ""
    host: str = ""
    pid: int = 0
    rank: int | None = None
    world_size: int | None = None
    sender: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def head(self, sequence: int, created_ns: int) -> bytes:
        fields = dict(vars(self), accelerator=wire.ACCELERATORS.get(self.accelerator, 0))
        return wire.batch_head(sequence=sequence, created_ns=created_ns, **fields)


class Batch(NamedTuple):
    """What is sent at a time. state: what the next cut begins with, so that a dead shipper's successor goes on exactly.
    created_ns: Unix nanoseconds."""

    sequence: int
    created_ns: int
    state: bytes
    data: bytes  # a serialized TelemetryBatch


@dataclass
class Partial:
    """Bytes of a captured stream that are not cut into lines yet; time of their first."""

    data: bytes = b""
    time_ns: int = 0


class Cutter:
    """Feed it with `read`, take batches with `cut`. `ended` and `said` tell what the job told about its end.

    gone: whether the writer of a lane has ended. Such a lane is deleted when all of it stands in a batch and `release` is called.
    """

    def __init__(
        self,
        directory: Path,
        identity: Identity,
        state: bytes | None = None,
        sequence: int = 0,
        gone: Callable[[str], bool] = lambda lane: False,
    ) -> None:
        self.directory, self.identity, self.gone = directory, identity, gone
        self.sequence = sequence
        self.created_ns = 0
        self.said = ""  # "stop" or "crash" when the job, or its shipper, said how it ended; "unknown" when nobody can
        self.ended = False  # the job's lane is complete
        self.corrupt = 0
        self._positions: dict[str, spool.Position] = {}
        self._partial = {spool.STDOUT: Partial(), spool.STDERR: Partial()}
        self._readers: dict[str, spool.Reader] = {}
        self._events: list[bytes] = []
        self._bytes = 0
        self._oldest = 0.0  # monotonic time when the first event of the pending batch was read
        self.latest_ns = 0
        self._urgent = False
        self._crowded = False  # the next record has no room in the pending batch
        self._look_at = 0.0
        self._released: dict[str, int] = {}
        self._gone: set[str] = set()  # lanes that do not grow any more
        self._over: set[str] = set()  # of these, the ones that are read to their end
        if state is not None:
            self._restore(state)

    def _restore(self, state: bytes) -> None:
        try:
            known = json.loads(state)
            self.created_ns, self.said, self.ended = known["created_ns"], known["said"], known["ended"]
            self._positions = {lane: spool.Position(*at) for lane, at in known["lanes"].items()}
            for stream, (data, time_ns) in known["partial"].items():
                self._partial[int(stream)] = Partial(base64.b64decode(data), time_ns)
        except (ValueError, TypeError, KeyError) as wrong:
            raise BadInput("corrupt-outbox", f"the state of the last batch cannot be read: {wrong}") from wrong

    def _state(self) -> bytes:
        state: dict[str, Any] = {
            "created_ns": self.created_ns,
            "said": self.said,
            "ended": self.ended,
            "lanes": self._positions,
            "partial": {
                str(stream): (base64.b64encode(partial.data).decode(), partial.time_ns)
                for stream, partial in self._partial.items()
                if partial.data
            },
        }
        return json.dumps(state, separators=(",", ":")).encode()

    def full(self) -> bool:
        return self._bytes >= BATCH_BYTES or len(self._events) >= BATCH_EVENTS or self._crowded

    @property
    def heard(self) -> bool:
        """Whether the job's lane has held anything: where the disk had no room for one, silence says nothing of the job."""
        return "job" in self._positions

    @property
    def due(self) -> bool:
        """Whether a batch should be cut now."""
        return bool(self._events) and (self.full() or self._urgent or time.monotonic() - self._oldest >= BATCH_SECONDS)

    def read(self, final: bool = False) -> bool:
        """Take what the lanes hold now, until a batch is full; whether there was anything.

        final: nothing more will be written, so a line without its end is a line.
        """
        taken = any([self._lines(stream) for stream in self._partial])  # noqa: C419 - each of them
        for reader in self._lanes(final):
            damaged = reader.corrupt
            while not self.full():
                found = False
                for record in reader.read():
                    found = taken = True
                    damaged = self._tell_damage(reader, damaged)
                    if self._events and self._bytes + len(record.payload) > spool.LARGEST:
                        reader.unread(record)
                        self._crowded = True
                        break
                    self._take(record)
                    self._positions[reader.lane] = record.after
                    if self.full():
                        break
                if not found:
                    if reader.lane in self._gone:
                        self._over.add(reader.lane)
                    break
            if len(self._readers) > OPEN_LANES:
                reader.close()
            self._tell_damage(reader, damaged)
            if self.full():
                return True
        now = time.time_ns()
        for stream, partial in self._partial.items():
            if partial.data and (final or now - partial.time_ns >= PARTIAL_SECONDS * 1e9):
                if self._events and self._bytes + len(partial.data) > spool.LARGEST:
                    self._crowded = True
                    return True
                self._line(stream, partial.time_ns, partial.data)
                partial.data = b""
        return taken

    def _tell_damage(self, reader: spool.Reader, before: int) -> int:
        """Tell what was found damaged since there were so many, before what stands behind it is taken; how many there are."""
        if reader.corrupt > before:
            self.corrupt += reader.corrupt - before
            for stream, partial in self._partial.items():
                if partial.data and reader.lane.startswith("tee"):  # which stream was lost is not known
                    partial.data += wire.MISSING + b"\n"
                    self._lines(stream)
            self.note(f"a spool segment of {reader.lane} was damaged on disk; events behind the damage are lost")
        return reader.corrupt

    def _lanes(self, final: bool) -> list[spool.Reader]:
        now = time.monotonic()
        if final or now >= self._look_at:
            self._look_at = now + LANES_SECONDS
            for lane in spool.lanes(self.directory, self.identity.process_uuid):
                if lane not in self._readers:
                    at = self._positions.get(lane)
                    self._readers[lane] = spool.Reader(self.directory, self.identity.process_uuid, lane, at)
            self._gone.update(lane for lane in self._readers if lane not in self._gone and self.gone(lane))
        # The captured output first: when its shipper died, the job's lane holds what came behind it.
        return sorted(self._readers.values(), key=lambda reader: spool.order(reader.lane))

    def _take(self, record: spool.Record) -> None:
        if record.kind in self._partial:
            partial = self._partial[record.kind]
            if not partial.data:
                partial.time_ns = record.time_ns
            partial.data += record.payload
            self._lines(record.kind, record.time_ns)
            return
        self.tell(record.kind, record.payload, record.time_ns)

    def tell(self, kind: int, payload: bytes, time_ns: int) -> None:
        """A record that is not output: of the job's lane, or one that found no room there."""
        if kind == spool.LINE:
            self.add(time_ns, wire.log(payload[1:], wire.API, payload[0] if payload else 0))
        elif kind == spool.END:
            self.ended = True
        else:
            self.add(time_ns, payload)
        if kind in (spool.STOP, spool.CRASH):
            self.said = "stop" if kind == spool.STOP else "crash"
        self._urgent |= kind in spool.URGENT

    def _lines(self, stream: int, time_ns: int = 0) -> bool:
        """Cut whole lines off a stream until the batch is full; what is left keeps the time of its chunk."""
        partial = self._partial[stream]
        data, start = partial.data, 0
        while not self.full():
            end = data.find(b"\n", start)
            if end < 0:
                if len(data) - start <= wire.LONGEST_TEXT:
                    break
                piece = wire.split_text(data[start:])[0]
                self._line(stream, partial.time_ns, piece)
                start += len(piece) - len(wire.CONTINUED)
                continue
            for piece in wire.split_text(data[start:end].removesuffix(b"\r")):
                self._line(stream, partial.time_ns, piece)
            partial.time_ns = time_ns or partial.time_ns
            start = end + 1
        partial.data = data[start:]
        return start > 0

    def _line(self, stream: int, time_ns: int, text: bytes) -> None:
        self.add(time_ns, wire.log(text, wire.STDOUT if stream == spool.STDOUT else wire.STDERR))

    def note(self, text: str) -> None:
        """A warning of our own among the events."""
        self.add(time.time_ns(), wire.log(wire.text_bytes(f"tracewinnow: {text}"), wire.API, 30, "tracewinnow"))

    def add(self, time_ns: int, payload: bytes) -> None:
        """An event; the lanes' own come here, and what the shipper itself saw. A time that cannot be becomes that of now."""
        now = time.time_ns()
        if not EARLIEST_NS <= time_ns <= now + AHEAD_NS:
            time_ns = now
        event = wire.blob(15, wire.event(time_ns, payload))
        if not self._events:
            self._oldest = time.monotonic()
        self._events.append(event)
        self._bytes += len(event)
        self.latest_ns = max(self.latest_ns, time_ns)

    def cut(self) -> Batch | None:
        """The pending events as a batch, or None where there are none."""
        if not self._events:
            return None
        now = time.time_ns()
        # The record time is that of the newest event: the same whether it is sent now or by a later `sync`. It goes back only
        # with a clock that went ahead and was set right: until the old time comes again every batch would be refused.
        self.created_ns = max(self.created_ns if self.created_ns <= now + AHEAD_NS else 0, min(self.latest_ns, now))
        data = self.identity.head(self.sequence, self.created_ns) + b"".join(self._events)
        batch = Batch(self.sequence, self.created_ns, self._state(), data)
        self.sequence += 1
        self._events, self._bytes, self._urgent, self._crowded = [], 0, False, False
        return batch

    def instead(self, batch: Batch, why: str) -> Batch:
        """What takes the place of a batch that nobody would take: its name and state, and one line that tells of it."""
        line = wire.log(wire.text_bytes(f"tracewinnow: events are lost: {why}"), wire.API, 30, "tracewinnow")
        data = self.identity.head(batch.sequence, batch.created_ns) + wire.blob(15, wire.event(batch.created_ns, line))
        return batch._replace(data=data)

    def children(self) -> bool:
        """Whether forked children that have logged live still."""
        # Asked here: where the outbox cannot be written nothing is read, and nobody looks for the gone.
        return any(spool.fork_pid(lane) and lane not in self._gone and not self.gone(lane) for lane in self._readers)

    def release(self) -> None:
        """Delete segments that are read to their end; call it when the outbox has what was cut from them, before more is read."""
        for lane, position in self._positions.items():
            if position.number > self._released.get(lane, 0):
                spool.delete_before(self.directory, self.identity.process_uuid, lane, position)
                self._released[lane] = position.number
        for lane in self._over:
            self.delete(lane)
        self._over.clear()

    def delete(self, lane: str) -> None:
        """Forget a lane that is recorded whole and will not grow any more."""
        spool.delete_before(self.directory, self.identity.process_uuid, lane, spool.END_OF_LANE)
        if (reader := self._readers.pop(lane, None)) is not None:
            reader.close()
        self._positions.pop(lane, None)
        self._released.pop(lane, None)
        self._gone.discard(lane)

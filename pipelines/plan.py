"""What the local runner decides before a run. Pure functions and one record that is written down before it is acted on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from tracewinnow.pipelines.records import WindowKey
from tracewinnow.schemas.errors import TracewinnowError

Partition = tuple[str, int]
FORMAT = 1


@dataclass(slots=True)
class Plan:
    """One bounded run: offset ranges [topic, partition, start, stop), windows to build anyway, and what counts as over.

    A run that was cut off is repeated from its plan: the same records give the same objects.
    """

    number: int
    ranges: list[tuple[str, int, int, int]]
    due: list[WindowKey]
    fire_before_ns: int

    @property
    def name(self) -> str:
        return f"{self.number:012d}"

    @property
    def records(self) -> int:
        return sum(stop - start for _, _, start, stop in self.ranges)


@dataclass(slots=True)
class State:
    """Where the local runner stands: offsets done, windows still open, and the plan in hand if there is one.

    cluster: of which broker the offsets speak; window_ns: of the warehouse. lost: records that the broker dropped unread.
    """

    cluster: str = ""
    window_ns: int = 0
    number: int = 0
    offsets: dict[Partition, int] = field(default_factory=dict)
    pending: set[WindowKey] = field(default_factory=set)
    plan: Plan | None = None
    lost: int = 0

    def to_json(self) -> bytes:
        """Equal states, equal bytes."""
        return json.dumps(
            {
                "format": FORMAT,
                "cluster": self.cluster,
                "window_ns": self.window_ns,
                "number": self.number,
                "offsets": [[t, p, o] for (t, p), o in sorted(self.offsets.items())],
                "pending": sorted(self.pending),
                "plan": asdict(self.plan) if self.plan else None,
                "lost": self.lost,
            }
        ).encode()

    @staticmethod
    def from_json(data: bytes) -> State:
        """What to_json gave. Raises TracewinnowError where it is something else."""
        try:
            found = json.loads(data)
            if found["format"] != FORMAT:
                raise TracewinnowError(f"the state has format {found['format']}; this version reads {FORMAT}")
            plan = found["plan"]
            return State(
                cluster=found["cluster"],
                window_ns=found["window_ns"],
                number=found["number"],
                offsets={(t, p): o for t, p, o in found["offsets"]},
                pending={(job, start) for job, start in found["pending"]},
                plan=plan
                and Plan(
                    plan["number"],
                    [(t, p, a, b) for t, p, a, b in plan["ranges"]],
                    [(job, start) for job, start in plan["due"]],
                    plan["fire_before_ns"],
                ),
                lost=found["lost"],
            )
        except (ValueError, KeyError, TypeError) as wrong:
            raise TracewinnowError(f"the state of the stream cannot be read: {wrong!r}") from wrong


def share(waiting: Mapping[Partition, int], limit: int) -> dict[Partition, int]:
    """How many records to take of each partition, at most `limit` together: as equal as what waits allows."""
    taken = dict.fromkeys(waiting, 0)
    left = limit
    # Smallest backlog first: what it does not need goes to the others.
    for remaining, (partition, count) in zip(
        range(len(waiting), 0, -1), sorted(waiting.items(), key=lambda w: w[1]), strict=True
    ):
        taken[partition] = min(count, left // remaining)
        left -= taken[partition]
    return taken


def due_windows(pending: set[WindowKey], window_ns: int, fire_before_ns: int) -> list[WindowKey]:
    """Open windows that have ended before the watermark."""
    return sorted(key for key in pending if key[1] + window_ns <= fire_before_ns)


def next_limit(limit: int, records: int, size: int, seconds: float, *, target: float = 5.0) -> int:
    """Records for the next run: what would have taken `target` seconds, at most twice as many, at most 192 MiB."""
    if records < limit // 2:
        return limit
    wanted = limit * min(2.0, max(0.25, target / max(seconds, 0.01)))
    by_size = (192 << 20) / max(1.0, size / max(1, records))
    return max(50, int(min(wanted, by_size, 500_000)))

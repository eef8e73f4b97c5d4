"""What the local runner decides, as pure functions, and where it stands, as one record that is saved before it is acted on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tracewinnow.pipelines.records import WindowKey
from tracewinnow.schemas.errors import TracewinnowError

Partition = tuple[str, int]
Range = tuple[str, int, int, int]  # topic, partition, start, stop (exclusive)
FORMAT = 1
FIRST_LIMIT = 200  # records of the first run, when their size is not known
LEAST_BYTES, MOST_BYTES = 8 << 20, 64 << 20  # of a run


@dataclass(slots=True)
class State:
    """Where the local runner stands.

    cluster: of which broker the offsets speak. window_ns: of the warehouse. number: of the last plan. offsets: what is in the
    archive. ranges: the plan in hand; a run that was cut off is repeated from it, and writes the same objects. pending: windows
    with something new in the archive, and whether they are to be built at once. watermark_ns: windows that end before it are
    over. lost: records that the broker dropped before they were read. owner: the LocalStream that saves it, as a UUID; "" where
    that was an older version. who: the same for people.
    """

    cluster: str = ""
    window_ns: int = 0
    number: int = 0
    offsets: dict[Partition, int] = field(default_factory=dict)
    ranges: list[Range] = field(default_factory=list)
    pending: dict[WindowKey, bool] = field(default_factory=dict)
    watermark_ns: int = 0
    lost: int = 0
    owner: str = ""
    who: str = ""

    @property
    def folder(self) -> str:
        """Where the plan in hand leaves the keys of the windows that it touched; each owner's own, as it is emptied later."""
        return f"state/fired/{self.number:012d}" + (f"-{self.owner}" if self.owner else "")

    def add(self, key: WindowKey, at_once: bool) -> None:
        """Something new of this window is in the archive."""
        self.pending[key] = at_once or self.pending.get(key, False)

    def due(self) -> list[WindowKey]:
        """Windows to build now: those that ask for it first, then those that are over, oldest first."""
        found = [k for k, at_once in self.pending.items() if at_once or k[1] + self.window_ns <= self.watermark_ns]
        return sorted(found, key=lambda k: (not self.pending[k], k[1], k[0]))

    def to_json(self) -> bytes:
        """Equal states, equal bytes."""
        return json.dumps(
            {
                "format": FORMAT,
                "cluster": self.cluster,
                "window_ns": self.window_ns,
                "number": self.number,
                "offsets": [[t, p, o] for (t, p), o in sorted(self.offsets.items())],
                "ranges": self.ranges,
                "pending": [[*key, at_once] for key, at_once in sorted(self.pending.items())],
                "watermark_ns": self.watermark_ns,
                "lost": self.lost,
                "owner": self.owner,
                "who": self.who,
            }
        ).encode()

    @staticmethod
    def from_json(data: bytes) -> State:
        """What to_json gave. Raises TracewinnowError where it is something else."""
        try:
            found = json.loads(data)
            if found["format"] != FORMAT:
                raise TracewinnowError(f"the state has format {found['format']}; this version reads {FORMAT}")
            return State(
                cluster=found["cluster"],
                window_ns=found["window_ns"],
                number=found["number"],
                offsets={(t, p): o for t, p, o in found["offsets"]},
                ranges=[(t, p, a, b) for t, p, a, b in found["ranges"]],
                pending={(job, start): at_once for job, start, at_once in found["pending"]},
                watermark_ns=found["watermark_ns"],
                lost=found["lost"],
                owner=found.get("owner", ""),
                who=found.get("who", ""),
            )
        except (ValueError, KeyError, TypeError) as wrong:
            raise TracewinnowError(f"the state of the stream cannot be read: {wrong!r}") from wrong


def share(waiting: Mapping[Partition, int], limit: int) -> dict[Partition, int]:
    """How many records to take of each partition, at most `limit` together: as equal as what waits allows."""
    taken = dict.fromkeys(waiting, 0)
    left = limit
    # Smallest backlog first: what it does not need goes to the others.
    for place, (partition, count) in enumerate(sorted(waiting.items(), key=lambda w: w[1])):
        taken[partition] = min(count, left // (len(waiting) - place))
        left -= taken[partition]
    return taken


def next_limit(limit: int, records: int, size: int, seconds: float, *, target: float = 4.0) -> int:
    """Records for the next run: what would take `target` seconds, at most twice as many as now, and 8 to 64 MiB of them.

    Smaller runs would write the same into more objects, and take longer for it.
    """
    if records < limit // 2:
        return limit
    wanted = limit * min(2.0, max(0.25, target / max(seconds, 0.01)))
    mean = max(1.0, size / max(1, records))
    return max(1, int(min(max(wanted, LEAST_BYTES / mean), MOST_BYTES / mean, 500_000)))

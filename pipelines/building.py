"""Windows that are due -> the processes that build them; what failed waits, longer each time, and is asked for again.

Nearly all that goes wrong passes: a store that is away, a full disk, a right that somebody took away. So a window is given up only
where it is itself at fault, and then a dead letter says so.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tracewinnow.pipelines.builder import Builders
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.plan import State
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.pipelines.retry import FIRST_WAIT, LONGEST_WAIT
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.errors import TracewinnowError
from tracewinnow.schemas.tables import date_of, dead_letter_row
from tracewinnow.stores.tables import open_tables
from tracewinnow.transforms.dofns import sayable
from tracewinnow.version import VERSION

LOG = logging.getLogger(__name__)
MOST_WINDOWS = 50  # in one request: what is built again after a kill
LEAST_WINDOWS = 8  # in one request, where others are busy
TRIES = 3  # of a window alone, before it is given up
STAGE = "BuildWindow"  # of the dead letters from here

Report = Callable[[str, dict[str, Any]], None]


@dataclass(slots=True)
class Failed:
    """A window that could not be built. times: how often; alone: of these by its own fault; until: left alone before."""

    times: int = 0
    alone: int = 0
    until: float = 0.0


def wait_after(failures: int) -> float:
    """Seconds until the next try, after so many failures."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - 1, 10))


class Building:
    """Keeps the builders busy with what `state` has pending. Not safe for use in many threads.

    save: writes the state down; called when something was built. Raises what it raises.
    """

    def __init__(
        self, settings: Settings, state: State, builders: Builders, save: Callable[[], None], report: Report
    ) -> None:
        self.settings = settings
        self.state = state
        self.builders = builders
        self.save = save
        self.report = report
        self.failed: dict[WindowKey, Failed] = {}
        self.away = 0  # failures in a row that no window caused
        self.until = 0.0  # nothing is asked for before

    def submit(self) -> bool:
        """Share out the next windows among the builders that are free; whether there were any."""
        submitted = False
        for keys in self._requests(time.monotonic()):
            if not self.builders.free:
                break
            for key in keys:
                # Back again if something new comes meanwhile; on disk it stays until it is built.
                del self.state.pending[key]
            self.builders.submit(keys)
            submitted = True
        return submitted

    def _requests(self, now: float) -> list[list[WindowKey]]:
        """What to ask for, a request each: what failed before stands alone, so that it spoils no other's."""
        building = set(self.builders.building)
        due = [key for key in self.state.due() if key not in building]
        due = [key for key in due if key not in self.failed or self.failed[key].until <= now]
        if self.away:
            # One is enough to see whether the store is back, and it is one that it cannot hang on, if there is such.
            tried = sorted(due, key=lambda key: self.failed[key].times if key in self.failed else 0)
            return [] if building or now < self.until else [[key] for key in tried[:1]]
        again = [[key] for key in due if key in self.failed]
        fresh = [key for key in due if key not in self.failed]
        # A part for each builder: one that is busy now will be free. But to begin a request takes as long as a window or two.
        least = LEAST_WINDOWS if self.builders.free == 1 else 1
        most = min(MOST_WINDOWS, max(-(-len(fresh) // len(self.builders.each)), least))
        return again + [fresh[first : first + most] for first in range(0, len(fresh), most)]

    def collect(self, seconds: float) -> bool:
        """Take the builders' answers: what is there, or the first that comes within `seconds`. Whether there was one."""
        collected = False
        while (answer := self.builders.poll(0.0 if collected else seconds)) is not None:
            collected = True
            keys, counters = answer
            if "error" in counters:
                self._fails(keys, counters["error"], counters["own_fault"])
                continue
            self.away, self.until = 0, 0.0
            for key in keys:
                self.failed.pop(key, None)
            self.report("built", {"windows": len(keys), **counters})
        if collected:
            self.save()
        return collected

    def flush(self, stopped: Callable[[], bool]) -> None:
        """Build every pending window, over or not, and wait for it, until `stopped` says so."""
        for key in self.state.pending:
            self.state.pending[key] = True
        while (self.state.pending or self.builders.building) and not stopped():
            self.submit()
            self.collect(0.5)

    def _fails(self, keys: list[WindowKey], error: str, own_fault: bool) -> None:
        if own_fault:
            if len(keys) == 1 and self._failed(keys[0]).alone + 1 >= TRIES:
                try:
                    self._give_up(keys[0], error)
                except TracewinnowError as refused:
                    error, own_fault = str(refused), False  # not even that can be written now: it stays pending
                else:
                    return
            elif len(keys) == 1:
                self._failed(keys[0]).alone += 1
        now = time.monotonic()
        for key in keys:
            failed = self._failed(key)
            failed.times += 1
            failed.until = now + wait_after(failed.times)
            self.state.add(key, True)
        wait = wait_after(self._failed(keys[0]).times)
        if not own_fault:
            self.away += 1
            wait = wait_after(self.away)
            self.until = now + wait
        of = f"window {keys[0][1]} of job {keys[0][0]}" if len(keys) == 1 else f"{len(keys)} windows"
        LOG.warning("%s could not be built: %s; trying again in %.0fs", of, error.rstrip("."), wait)

    def _failed(self, key: WindowKey) -> Failed:
        return self.failed.setdefault(key, Failed())

    def _give_up(self, key: WindowKey, error: str) -> None:
        """A dead letter in the place of the window, which takes that of an earlier one. Blocks on the store; raises its errors."""
        letter = given_up(key, error)
        tables = open_tables(self.settings.tables or self.settings.warehouse)
        tables.write("dead_letters", date_of(letter.time_ns), letter_name(letter.topic), [dead_letter_row(letter)])
        del self.failed[key]
        LOG.error("window %d of job %s is given up: %s", key[1], key[0], letter.reason)
        self.report("built", {"windows": 0, "dead_letters": 1})


def letter_name(topic: str) -> str:
    """Name of the file of the letter about a window; topic: archive/<job>/<start>."""
    return hashlib.sha256(f"{STAGE}/{topic}".encode()).hexdigest()


def given_up(key: WindowKey, error: str) -> DeadLetter:
    """Names the window whose raw lines stand in the archive."""
    job_id, start_ns = key
    return DeadLetter(
        topic=f"archive/{job_id}/{start_ns}",
        stage=STAGE,
        code="cannot-build",
        reason=f"{sayable(error)}, {TRIES} times over; the raw batches are in the archive, "
        f"`tracewinnow rebuild --job {job_id}` tries again",
        version=VERSION,
        time_ns=start_ns,
    )

"""What is told of a job as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from tracewinnow.serving.holes import Hole, Lack

STATES = ("running", "stopped", "crashed", "lost contact", "imported")
SILENCE_NS = 600 * 1_000_000_000  # a job that said nothing for so long, and never that it ended, is lost


@dataclass(frozen=True, slots=True)
class Job:
    """What all the windows of a job tell together. Times are Unix nanoseconds, 0 where unknown."""

    job_id: str
    state: str  # of STATES
    started_ns: int
    ended_ns: int
    first_time_ns: int
    last_time_ns: int
    exit_code: int | None
    reason: str
    accelerator: str
    model: str
    user: str
    world_size: int
    windows: int
    lines: int
    tokens_before: int
    tokens_after: int
    ranks: tuple[int, ...] = ()  # seen
    holes: tuple[Hole, ...] = ()
    lacks: tuple[Lack, ...] = ()

    @property
    def begun_ns(self) -> int:
        """When it started, or was first heard of."""
        return self.started_ns or self.first_time_ns

    @property
    def lasted_ns(self) -> int:
        """Until its end, or until it was last heard of; 0 where unknown."""
        until = self.ended_ns if self.state in ("stopped", "crashed") else self.last_time_ns
        return max(until - self.begun_ns, 0) if self.begun_ns else 0


def state_of(outcome: str, started_ns: int, ended_ns: int, last_time_ns: int, now_ns: int) -> str:
    """The state of a job; one that started again after its end goes on."""
    if outcome and started_ns <= ended_ns:
        return outcome
    return "running" if now_ns - last_time_ns < SILENCE_NS else "lost contact"

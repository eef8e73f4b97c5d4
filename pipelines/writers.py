"""Writes that go on beside the work: a store takes milliseconds to say that it holds something, and takes many at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

THREADS = 8  # a file system commits what several threads sync together in one go
WAITING = 16  # writes that are not done yet: what bounds the memory


class Writers:
    """Threads for one DoFn. Not safe for use in many threads itself."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(THREADS, "writer")
        self.waiting: deque[Future[Any]] = deque()

    def submit(self, write: Callable[..., object], *arguments: object) -> None:
        """Begin a write; blocks while WAITING are under way. Raises what an earlier one raised."""
        if len(self.waiting) >= WAITING:
            self.waiting.popleft().result()
        self.waiting.append(self.pool.submit(write, *arguments))

    def drain(self) -> None:
        """Wait for all of them. Raises what the first that failed raised, when all are over: nothing is written behind it."""
        writes, self.waiting = list(self.waiting), deque()
        errors = [error for write in writes if (error := write.exception()) is not None]
        if errors:
            raise errors[0]

    def close(self) -> None:
        """End the threads; what has begun is finished."""
        self.pool.shutdown()

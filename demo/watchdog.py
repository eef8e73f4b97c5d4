"""Says where a rank stands when it has not moved for too long, with the stack of every thread."""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
import time

_now: tuple[str, float] = ("starting", time.monotonic())


def phase(what: str) -> None:
    """The training loop has come to `what`."""
    global _now
    _now = (what, time.monotonic())


def start(rank: int, limit: float) -> None:
    """Watch from a thread; after `limit` seconds in one phase it dumps once."""
    threading.Thread(target=_watch, args=(rank, limit), name="watchdog", daemon=True).start()


def _watch(rank: int, limit: float) -> None:
    while time.monotonic() - _now[1] < limit:
        time.sleep(0.05)
    where, since = _now
    still = time.monotonic() - since
    logging.getLogger("watchdog").critical(
        "rank %d has not moved for %.1f s, it is at: %s. Stacks of all threads follow.", rank, still, where
    )
    faulthandler.dump_traceback(sys.stderr, all_threads=True)

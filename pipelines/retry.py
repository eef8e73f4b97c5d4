"""What may pass is tried again, with longer and longer waits, and said out loud."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from tracewinnow.schemas.errors import BadInput, BadUse, TracewinnowError

LOG = logging.getLogger(__name__)
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds


def keep_trying(attempt: Callable[[], bool], stopped: Callable[[], bool]) -> bool:
    """attempt() until it returns; blocks. False when `stopped` says so in between.

    Everything that a run raises is tried again, but BadUse that comes as such: Beam wraps errors of a step, and a plan can be
    repeated without harm. The user sees each failure, and decides.
    """
    wait = FIRST_WAIT
    while not stopped():
        try:
            return attempt()
        except BadUse:  # no time mends it
            raise
        except Exception as failed:
            LOG.error("%s; trying again in %.0fs", innermost(failed), wait)
            LOG.debug("the failure in full", exc_info=True)
        until = time.monotonic() + wait
        while time.monotonic() < until and not stopped():
            time.sleep(0.1)
        wait = min(LONGEST_WAIT, wait * 2)
    return False


def cause(failed: BaseException) -> BaseException:
    """Our own error, else the innermost: Beam wraps errors of a step."""
    while failed.__cause__ is not None and not isinstance(failed, TracewinnowError):
        failed = failed.__cause__
    return failed


def own_fault(failed: BaseException) -> bool:
    """Whether what was worked on may itself have caused it: bad input, or what nobody foresaw.

    What a store or a broker is at fault for, and what the user can change, is an error of ours, or of a library. Where the machine
    has no more memory, or a file is not to be had, nothing is known of the input.
    """
    failed = cause(failed)
    if isinstance(failed, BadInput):
        return True
    return type(failed).__module__ == "builtins" and not isinstance(failed, (OSError, MemoryError))


def innermost(failed: BaseException) -> str:
    """What went wrong in a line: our own words, else the innermost cause; Beam puts a worker's traceback into the message."""
    failed = cause(failed)
    if isinstance(failed, TracewinnowError):
        return str(failed).rstrip(".")
    lines = [line for line in str(failed).strip().splitlines() if line.strip()]
    return f"{type(failed).__name__}: {lines[-1].strip() if lines else 'no message'}"

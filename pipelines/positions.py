"""Where to go on in a partition, when the broker may have dropped what comes next."""

from __future__ import annotations

import logging

LOG = logging.getLogger(__name__)


def go_on(topic: str, partition: int, offset: int, low: int, high: int) -> int:
    """The offset to read from: `offset`, or the first that the broker has where it no longer has that one, which is said.

    low, high: the first offset that it has, and the one after the last.
    """
    if offset < low:
        LOG.error(
            "%d records of %s/%d (offsets %d to %d) went from the broker unread; "
            "`tracewinnow sync` on the job's machine sends them again from its spool",
            low - offset,
            topic,
            partition,
            offset,
            low - 1,
        )
        return low
    if offset > high:
        LOG.error(
            "%s/%d ends at %d, but was read up to %d: made anew, it seems; reading all of it",
            topic,
            partition,
            high,
            offset,
        )
        return low
    return offset

"""The collective of the demo's job: the mean is right, and a lost or silent neighbour is told."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from demo.ring import CollectiveError, Ring, listeners


def on_ranks(size: int, timeout: float, work: Callable[[Ring], object]) -> list[object]:
    """What `work` returns or raises on each rank of a ring, each a thread."""
    sockets = listeners(size)
    ports = [each.getsockname()[1] for each in sockets]
    found: list[object] = [None] * size

    def run(rank: int) -> None:
        ring = Ring(rank, sockets[rank].detach(), ports, timeout)
        try:
            found[rank] = work(ring)
        except CollectiveError as wrong:
            found[rank] = wrong
        finally:
            ring.close()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("count", [1, 7, 200_000])
def test_every_rank_has_the_mean(size: int, count: int) -> None:
    values = [np.random.default_rng(rank).random(count, np.float32) for rank in range(size)]
    found = on_ranks(size, 10, lambda ring: ring.mean(values[ring.rank]))
    for mean in found:
        np.testing.assert_allclose(mean, np.mean(values, axis=0), rtol=1e-5)  # type: ignore[arg-type]


def test_a_rank_that_left_is_told_to_the_others() -> None:
    found = on_ranks(3, 10, lambda ring: None if ring.rank == 1 else ring.mean(np.ones(10_000, np.float32)))
    told = [str(error) for error in found if isinstance(error, CollectiveError)]
    assert any("lost the connection to rank 1" in text for text in told)


def test_a_silent_rank_is_waited_for_no_longer_than_the_timeout() -> None:
    done = threading.Event()

    def work(ring: Ring) -> object:
        if ring.rank == 0:
            done.wait(10)
            return None
        try:
            return ring.mean(np.ones(10, np.float32))
        finally:
            done.set()

    found = on_ranks(2, 0.3, work)
    assert "timed out after 0.3 s waiting for rank 0" in str(found[1])

"""Writes beside the work: all of them, a bounded number at once, and no error goes unheard."""

from __future__ import annotations

import threading
import time

import pytest

from tracewinnow.pipelines.writers import WAITING, Writers


def test_drain_waits_for_all_of_them() -> None:
    writers, written = Writers(), []

    def write(number: int) -> None:
        time.sleep(0.002)
        written.append(number)

    for number in range(100):
        writers.submit(write, number)
    writers.drain()
    assert sorted(written) == list(range(100))
    writers.close()


def test_what_waits_is_bounded() -> None:
    writers, gate, begun = Writers(), threading.Event(), []

    def feed() -> None:
        for number in range(WAITING + 5):
            writers.submit(gate.wait, 10)
            begun.append(number)

    feeding = threading.Thread(target=feed)
    feeding.start()
    time.sleep(0.1)
    assert len(begun) == WAITING
    gate.set()
    feeding.join(10)
    writers.drain()
    assert len(begun) == WAITING + 5
    writers.close()


def test_a_write_that_fails_is_heard_when_the_others_are_done() -> None:
    writers, done = Writers(), []

    def fail() -> None:
        raise OSError("the disk is full")

    def slow() -> None:
        time.sleep(0.05)
        done.append(1)

    writers.submit(fail)
    writers.submit(slow)
    with pytest.raises(OSError, match="the disk is full"):
        writers.drain()
    assert done == [1]
    writers.drain()  # said once
    writers.close()

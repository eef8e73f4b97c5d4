"""What the decoder refuses, whatever a producer sends."""

from __future__ import annotations

import time
from unittest import mock

import pytest
from apache_beam.pvalue import TaggedOutput

from tests.pipelines.feed import batch, new_process
from tracewinnow.pipelines.decode import DecodeFn
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import Accepted, Record
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter

HOUR = 3600 * 10**9


def decoded(record: Record) -> Accepted | DeadLetter:
    decoder = DecodeFn(Settings("unused"))
    decoder.setup()
    (found,) = decoder.process([record])
    return found.value if isinstance(found, TaggedOutput) else found


@pytest.mark.parametrize("timestamp_ms", [time.time_ns() // 1000, time.time_ns(), -1, 1 << 63, -(1 << 63)])
def test_a_record_may_have_any_time(timestamp_ms: int) -> None:
    letter = decoded(Record("t", 0, 7, timestamp_ms, b"junk"))
    assert isinstance(letter, DeadLetter)
    assert (letter.original, letter.offset, letter.code) == (b"junk", 7, "not-a-batch")


def test_what_is_refused_twice_is_one_letter() -> None:
    record = Record(
        "t", 0, 7, 5, batch("j", new_process(), 0, ["x"], created_ns=time.time_ns() + HOUR).SerializeToString()
    )
    first, now = decoded(record), time.time_ns()
    with mock.patch("time.time_ns", return_value=now + 5 * 10**9):
        assert decoded(record) == first
    assert isinstance(first, DeadLetter)
    assert first.code == "time-in-the-future"

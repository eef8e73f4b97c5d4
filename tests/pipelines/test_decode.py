"""What the decoder refuses, whatever a producer sends."""

from __future__ import annotations

import time
from pathlib import Path
from unittest import mock

import apache_beam as beam
import pytest
from apache_beam.pvalue import TaggedOutput

from tests.pipelines.feed import batch, new_process
from tracewinnow.pipelines import graph
from tracewinnow.pipelines.decode import BAD_HEADERS, DecodeFn
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import Accepted, Record
from tracewinnow.pipelines.run import run_here
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


def test_headers_that_could_not_be_read_are_said() -> None:
    good = batch("j", new_process(), 0, ["x"]).SerializeToString()
    letter = decoded(Record("t", 0, 7, 5, good, ((BAD_HEADERS, b"the name of a header is not UTF-8"),)))
    assert isinstance(letter, DeadLetter)
    assert (letter.code, letter.reason) == ("bad-headers", "the name of a header is not UTF-8")
    assert letter.original == good


def test_what_is_refused_counts_among_the_bytes(tmp_path: Path) -> None:
    """It is held as well, until it is written."""
    good = batch("j", new_process(), 0, ["x"]).SerializeToString()
    records = [
        Record("t", 0, 0, 5, good),
        Record("t", 0, 1, 5, bytes(5000)),
        Record("t", 0, 2, 5, b"", (("h", bytes(99)),)),
    ]

    def construct(pipeline: beam.Pipeline) -> None:
        graph.archive(pipeline | beam.Create([records]), Settings(str(tmp_path)))

    counters = run_here(construct)
    assert (counters["bytes"], counters["batches"], counters["dead_letters"]) == (len(good) + 5000 + 100, 1, 2)

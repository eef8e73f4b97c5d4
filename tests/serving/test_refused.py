"""Refused batches, told by their dead letters."""

from __future__ import annotations

from tests.serving.conftest import batch
from tracewinnow.serving.refused import refused_batches


def test_the_batches_of_the_job_whatever_else_was_refused() -> None:
    mine, framed, other = batch("a", 0, 3, ["x"]), batch("a", 1, 4, ["x"]), batch("b", 0, 5, ["x"])
    letters = [
        (mine.SerializeToString(), "bad-vector"),
        (b"\0\0\0\0\7\0" + framed.SerializeToString(), "framed"),
        (other.SerializeToString(), "bad-vector"),
        (b"no batch of a", "not-a-batch"),
        (b"", "not-a-batch"),
    ]
    assert refused_batches(letters, "a") == {
        (mine.process_uuid, 3): "refused as bad-vector",
        (framed.process_uuid, 4): "refused as framed",
    }

"""Dead letters in the tables."""

from __future__ import annotations

from pathlib import Path

from tracewinnow.pipelines.build import READ_WINDOW
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.sinks import WriteDeadLettersFn
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.stores.parquet_tables import connect


def write(folder: Path, letters: list[DeadLetter]) -> None:
    sink = WriteDeadLettersFn(Settings(str(folder)))
    sink.setup()
    sink.start_bundle()
    for letter in letters:
        sink.process(letter)
    sink.finish_bundle()


def counted(folder: Path) -> int:
    with connect(folder) as tables:
        (found,) = tables.execute("select count(*) from dead_letters").fetchone()
    return int(found)


def test_a_window_that_is_built_again_counts_its_letters_once(tmp_path: Path) -> None:
    letters = [
        DeadLetter(topic=f"archive/{job}/0", stage=READ_WINDOW, offset=i, original=b"%d" % i, time_ns=10**18)
        for job in "ab"
        for i in range(3)
    ]
    for count in (1, 2, 3, 6, 6):
        write(tmp_path, letters[:count])
    assert counted(tmp_path) == 6


def test_a_bundle_that_comes_twice_counts_once(tmp_path: Path) -> None:
    letters = [DeadLetter(topic="t", stage="Decode", offset=i, time_ns=10**18) for i in range(5)]
    for some in (letters, letters[::-1], [*letters, *letters]):
        write(tmp_path, some)
    assert counted(tmp_path) == 5

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
        DeadLetter(
            topic=f"archive/{job}/0", stage=READ_WINDOW, offset=i, original=b"%d" % i, code="name-taken", time_ns=10**18
        )
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


def test_a_window_without_letters_takes_out_those_that_it_had(tmp_path: Path) -> None:
    letters = [
        DeadLetter(topic=f"archive/{job}/0", stage=READ_WINDOW, code="corrupt-archive", time_ns=10**18) for job in "ab"
    ]
    none = [DeadLetter(topic=letter.topic, stage=READ_WINDOW, time_ns=letter.time_ns) for letter in letters]
    write(tmp_path, none)
    assert not [*tmp_path.rglob("*.parquet")]  # most windows never had one: nothing is written for them
    write(tmp_path, letters)
    assert counted(tmp_path) == 2
    write(tmp_path, [none[0]])
    assert counted(tmp_path) == 1
    write(tmp_path, [none[1], letters[1]])
    assert counted(tmp_path) == 1

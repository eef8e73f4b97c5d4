"""Dead letters and traces in the tables: each letter once however often it comes, and what BigQuery refuses stops nothing."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest

from tests.stores.bigquery_server import BigQueryServer
from tests.stores.conftest import bigquery_server as bigquery_server
from tracewinnow.pipelines.build import READ_WINDOW
from tracewinnow.pipelines.building import given_up
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.sinks import WriteDeadLettersFn, WriteTraceFn
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.tables import date_of, dead_letter_row
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.parquet_tables import connect
from tracewinnow.stores.tables import open_tables

START = 1_760_000_000_000_000_000


def write(folder: Path, letters: list[DeadLetter], tables: str = "") -> None:
    sink = WriteDeadLettersFn(Settings(str(folder), tables=tables))
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


def refused(offset: int, original: bytes = b"x", topic: str = "t", partition: int = 0) -> DeadLetter:
    return DeadLetter(
        topic=topic,
        partition=partition,
        offset=offset,
        original=original,
        stage="Decode",
        code="not-a-batch",
        time_ns=START,
    )


@pytest.mark.parametrize(
    "bundles",
    [[(0, 3), (0, 2), (2, 4)], [(0, 2), (2, 4), (0, 4)], [(1, 3), (0, 4)], [(3, 4), (0, 1), (0, 4), (1, 3)]],
)
def test_a_bundle_that_is_cut_elsewhere_when_it_comes_again_counts_once(
    tmp_path: Path, bundles: list[tuple[int, int]]
) -> None:
    for first, last in bundles:
        write(tmp_path, [refused(offset) for offset in range(first, last)])
    assert counted(tmp_path) == 4


def test_records_of_other_places_and_of_a_topic_made_anew_are_others(tmp_path: Path) -> None:
    write(tmp_path, [refused(0), refused(0, partition=1), refused(0, topic="u")])
    write(tmp_path, [refused(0, b"another record"), refused(0)])
    assert counted(tmp_path) == 4


def stage_failed(stage: str, part: int = 0) -> DeadLetter:
    return DeadLetter(
        topic=f"archive/job/{START}", partition=part, stage=stage, code="stage-failed", time_ns=START, version=stage
    )


def traced(part: int = 0) -> PreprocessedTrace:
    trace = PreprocessedTrace(job_id="job", window_start_ns=START, revision=1, part=part)
    trace.job.outcome = "crashed"
    return trace


def write_traces(folder: Path, traces: list[PreprocessedTrace], tables: str = "") -> None:
    sink = WriteTraceFn(Settings(str(folder), tables=tables))
    sink.setup()
    sink.start_bundle()
    for trace in traces:
        sink.process(trace)
    sink.finish_bundle()
    sink.teardown()


def test_a_part_has_one_letter_about_the_stage_that_failed_last(tmp_path: Path) -> None:
    write(tmp_path, [stage_failed("Denoise"), stage_failed("Denoise", 1)])
    write(tmp_path, [stage_failed("Denoise", 1)])  # a rebuild of some windows puts them into other bundles
    write(tmp_path, [stage_failed("Rank")])
    assert counted(tmp_path) == 2


def test_what_is_built_takes_its_letters_out(tmp_path: Path) -> None:
    letter = given_up(("job", START), "ValueError: no")  # written by the local runner, under this name
    name = hashlib.sha256(f"{letter.stage}/{letter.topic}".encode()).hexdigest()
    open_tables(str(tmp_path)).write("dead_letters", date_of(START), name, [dead_letter_row(letter)])
    write(tmp_path, [stage_failed("Denoise"), stage_failed("Denoise", 1)])
    write_traces(tmp_path, [traced(1)])
    assert counted(tmp_path) == 2
    write_traces(tmp_path, [traced(0)])
    assert counted(tmp_path) == 0


def test_a_reason_is_cut(tmp_path: Path) -> None:
    letter = refused(0)
    letter.reason = "x" * 10_000_000
    write(tmp_path, [letter])
    trace = traced()
    trace.job.reason = "y" * 10_000_000
    write_traces(tmp_path, [trace])
    with connect(tmp_path) as tables:
        ((reason,),) = tables.execute("select reason from dead_letters").fetchall()
        ((death,),) = tables.execute("select reason from jobs").fetchall()
    assert reason == "x" * 4000 + "... (10,000,000 characters)"
    assert (len(death), death[-24:]) == (65563, "... (10,000,000 characters)"[-24:])


def narrow(server: BigQueryServer, table: str, without: str) -> None:
    """A table that was made for an older version."""
    resource = server.table("p", "d", table).resource
    resource["schema"]["fields"] = [field for field in resource["schema"]["fields"] if field["name"] != without]
    del server.tables["p", "d", table]
    server.make_table("p", "d", table, resource)


@pytest.fixture
def dataset(bigquery_server: BigQueryServer, monkeypatch: pytest.MonkeyPatch) -> str:
    # A connection a request: the server's threads end with it, and none is left when the process ends.
    monkeypatch.setattr(bigquery_server.RequestHandlerClass, "protocol_version", "HTTP/1.0")
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_server.url)
    return "bq://p/d"


def test_a_row_that_bigquery_refuses_is_a_dead_letter(
    tmp_path: Path, bigquery_server: BigQueryServer, dataset: str
) -> None:
    narrow(bigquery_server, "jobs", "parts")
    write_traces(tmp_path, [traced(0), traced(1)], dataset)
    letters = bigquery_server.table("p", "d", "dead_letters").rows()
    assert [(one["topic"], one["partition"], one["code"]) for one in letters] == [
        (f"archive/job/{START}", part, "row-refused") for part in (0, 1)
    ]
    assert "no such field: parts" in letters[0]["reason"]
    assert len(bigquery_server.table("p", "d", "traces").rows()) == 2
    assert len([*tmp_path.glob("traces/*/*.binpb")]) == 2


def test_a_letter_that_is_too_large_stands_in_the_warehouse_whole(
    tmp_path: Path, bigquery_server: BigQueryServer, dataset: str
) -> None:
    large = refused(1, b"\xff" * (8 << 20))
    for _ in range(2):
        write(tmp_path, [refused(0), large, refused(2)], dataset)
    found = sorted(bigquery_server.table("p", "d", "dead_letters").rows(), key=lambda row: row["offset"])
    assert [(row["offset"], row["original"]) for row in found] == [(0, b"x"), (1, b""), (2, b"x")]
    assert f"its 8,388,608 bytes stand in {tmp_path}/tables/dead_letters/dt=2025-10-09/" in found[1]["reason"]
    with connect(tmp_path) as tables:
        ((original,),) = tables.execute("select original from dead_letters").fetchall()
    assert original == large.original


def test_a_table_that_takes_no_letter_stops_nothing(
    tmp_path: Path, bigquery_server: BigQueryServer, dataset: str, caplog: pytest.LogCaptureFixture
) -> None:
    narrow(bigquery_server, "dead_letters", "stage")
    with caplog.at_level(logging.ERROR):
        write(tmp_path, [refused(0), refused(1)], dataset)
    assert "these dead letters stand in" in caplog.text
    assert counted(tmp_path) == 2

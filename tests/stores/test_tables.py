"""What every store of tables promises, run over each; rows are read back from where the store put them."""

from __future__ import annotations

import datetime
import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.errors import BadUse
from tracewinnow.schemas.tables import TABLES, dead_letter_row, rows
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.bigquery_tables import BigQueryTables
from tracewinnow.stores.parquet_tables import ParquetTables, connect
from tracewinnow.stores.tables import Tables, open_tables

from .bigquery_server import BigQueryServer, as_rows

DAY = "2026-11-21"


class Warehouse:
    """A store of tables, and a way to read it that is not its own code."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def read(self, table: str) -> list[dict[str, Any]]:
        raise NotImplementedError

    def write(self, trace: PreprocessedTrace, name: str) -> None:
        for table, found in rows(trace).items():
            self.tables.write(table, DAY, name, found)


class ParquetWarehouse(Warehouse):
    def __init__(self, folder: Path) -> None:
        super().__init__(open_tables(str(folder)))
        self.folder = folder

    def read(self, table: str) -> list[dict[str, Any]]:
        return as_rows(connect(self.folder).execute(f"FROM {table}"))


class BigQueryWarehouse(Warehouse):
    def __init__(self, server: BigQueryServer) -> None:
        super().__init__(BigQueryTables("p", "d", endpoint=server.url))
        self.server = server

    def read(self, table: str) -> list[dict[str, Any]]:
        return self.server.table("p", "d", table).rows()


@pytest.fixture(params=["parquet", "bigquery"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    if request.param == "parquet":
        yield ParquetWarehouse(tmp_path / "it's a [ware]house*")
    else:
        yield BigQueryWarehouse(request.getfixturevalue("bigquery_server"))


def trace(job: str = "job", revision: int = 1, segments: int = 3) -> PreprocessedTrace:
    found = PreprocessedTrace(trace_id=f"{job}/0", job_id=job, window_start_ns=1_795_219_200 * 10**9, revision=revision)
    found.versions["code"] = "1"
    found.processes.add(process_uuid="0" * 32, first=0, last=2**63 - 1)
    for place in range(segments):
        found.segments.add(first=place, text=f'line {place} ☃ \n\t"quoted"', ranks=[0, 7], score=0.1 + place)
    return found


def without_day(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert all(row["dt"] == datetime.date.fromisoformat(DAY) for row in found)
    kept = [{name: value for name, value in row.items() if name != "dt"} for row in found]
    return sorted(kept, key=lambda row: (str(row.get("job_id")), row.get("revision", 0), row.get("position", 0)))


def test_what_was_written_is_read(warehouse: Warehouse) -> None:
    warehouse.write(trace(), "name")
    for table, expected in rows(trace()).items():
        assert without_day(warehouse.read(table)) == expected


def test_writing_twice_is_writing_once(warehouse: Warehouse) -> None:
    for _ in range(3):
        warehouse.write(trace(), "name")
    warehouse.write(trace("other"), "other")
    for table, expected in rows(trace()).items():
        assert without_day(warehouse.read(table)) == expected + rows(trace("other"))[table]


def test_every_value_survives(warehouse: Warehouse) -> None:
    found = trace(segments=0)
    for number in (math.inf, -math.inf, 1e-308, 0.1):
        found.segments.add(score=number, first_time_ns=2**63 - 1, last_time_ns=-(2**63), text="\0\x1b[0m \U0001f600")
    found.job.exit_code = 0
    found.segments.add(score=math.nan)
    warehouse.write(found, "name")
    read = without_day(warehouse.read("segments"))
    assert math.isnan(read[-1].pop("score"))
    expected = rows(found)["segments"]
    del expected[-1]["score"]
    assert read == expected
    assert warehouse.read("jobs")[0]["exit_code"] == 0


def test_dead_letters_keep_every_byte(warehouse: Warehouse) -> None:
    letter = DeadLetter(original=bytes(range(256)), code="not-a-batch", headers={"a": b"\xff\0", "b": b""}, time_ns=1)
    warehouse.tables.write("dead_letters", DAY, "name", [dead_letter_row(letter)])
    assert without_day(warehouse.read("dead_letters")) == [dead_letter_row(letter)]


def test_no_rows(warehouse: Warehouse) -> None:
    warehouse.tables.write("segments", DAY, "name", [])
    assert warehouse.read("segments") == []


def test_many_rows(warehouse: Warehouse) -> None:
    warehouse.write(trace(segments=1234), "name")
    assert without_day(warehouse.read("segments")) == rows(trace(segments=1234))["segments"]


def test_bad_writes(warehouse: Warehouse) -> None:
    write = warehouse.tables.write
    with pytest.raises(BadUse, match="No table 'other': there are jobs, traces"):
        write("other", DAY, "name", [])
    for day in ("2026-11-31", "21.11.2026", "2026-1-1", "../x", ""):
        with pytest.raises(BadUse, match="give a day as YYYY-MM-DD"):
            write("jobs", day, "name", [])
    with pytest.raises(BadUse, match="columns that it does not: color"):
        write("jobs", DAY, "name", [{"job_id": "x", "color": 1}])


def test_tables_travel(warehouse: Warehouse) -> None:
    warehouse.write(trace(), "name")
    copy = pickle.loads(pickle.dumps(warehouse.tables))
    copy.write("jobs", DAY, "other", rows(trace("other"))["jobs"])
    assert [row["job_id"] for row in without_day(warehouse.read("jobs"))] == ["job", "other"]


def test_open_tables(tmp_path: Path) -> None:
    assert isinstance(open_tables(str(tmp_path)), ParquetTables)
    assert isinstance(open_tables("gs://bucket/prefix"), ParquetTables)
    assert isinstance(open_tables("bq://project/dataset"), BigQueryTables)
    for wrong in ("bq://project", "bq://", "bq://project/dataset/table", "s3://x"):
        with pytest.raises(BadUse):
            open_tables(wrong)
    assert set(TABLES) == {"jobs", "traces", "segments", "dead_letters"}

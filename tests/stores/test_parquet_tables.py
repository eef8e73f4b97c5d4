"""Files and the views over them: latest revisions, empty tables, columns that came later."""

from __future__ import annotations

import re
import shutil
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracewinnow.schemas.errors import BadUse
from tracewinnow.schemas.tables import TABLES, arrow_schema
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.errors import StoreError
from tracewinnow.stores.local_objects import LocalObjects
from tracewinnow.stores.parquet_tables import ParquetTables, connect, to_parquet

DAY = "2026-11-21"


def job(job_id: str, window: int, revision: int, **more: object) -> dict[str, object]:
    return {"job_id": job_id, "window_start_ns": window, "revision": revision, **more}


@pytest.fixture
def tables(tmp_path: Path) -> ParquetTables:
    return ParquetTables(LocalObjects(tmp_path))


def test_views_of_an_empty_warehouse(tmp_path: Path) -> None:
    connection = connect(tmp_path / "not there")
    for table in TABLES:
        found = connection.execute(f"FROM {table}")
        assert [column[0] for column in found.description] == [*arrow_schema(table).names, "dt"]
        assert found.fetchall() == []
    assert connection.execute("SELECT count(*) FROM segments WHERE label = 'x' AND dt > '2026-01-01'").fetchone() == (
        0,
    )


def test_views_keep_the_highest_revision_of_each_window(tables: ParquetTables, tmp_path: Path) -> None:
    rows = [job("a", 0, 3, part=0), job("a", 0, 3, part=1), job("a", 0, 9, part=0), job("a", 60, 1), job("b", 0, 2)]
    for place, row in enumerate(rows):
        tables.write("traces", DAY, f"name-{place}", [row])
        tables.write("jobs", "2026-11-22", f"name-{place}", [row])
    for table in ("traces", "jobs"):
        found = (
            connect(tmp_path).execute(f"SELECT job_id, window_start_ns, revision FROM {table} ORDER BY ALL").fetchall()
        )
        assert found == [("a", 0, 9), ("a", 60, 1), ("b", 0, 2)]
    assert connect(tmp_path).execute("SELECT count(*), min(dt)::TEXT FROM jobs").fetchone() == (3, "2026-11-22")


def test_the_same_name_replaces(tables: ParquetTables, tmp_path: Path) -> None:
    tables.write("jobs", DAY, "name", [job("a", 0, 1), job("b", 0, 1)])
    tables.write("jobs", DAY, "name", [job("c", 0, 1)])
    assert connect(tmp_path).execute("SELECT job_id FROM jobs").fetchall() == [("c",)]


def test_a_path_with_two_dots(tables: ParquetTables, tmp_path: Path) -> None:
    """DuckDB names files by a shorter path than it was given."""
    tables.write("jobs", DAY, "name", [job("a", 0, 1)])
    (tmp_path / "sub").mkdir()
    found = connect(tmp_path / "sub" / "..").execute("SELECT job_id, dt::VARCHAR FROM jobs").fetchall()
    assert found == [("a", DAY)]


def test_the_same_rows_are_the_same_bytes() -> None:
    rows = [job("a", 0, 1, outcome="crashed"), job("b", 0, 1)]
    assert to_parquet("jobs", rows) == to_parquet("jobs", [dict(reversed(list(row.items()))) for row in rows])
    assert to_parquet("jobs", rows) != to_parquet("jobs", rows[::-1])


def test_a_column_that_old_files_lack(tables: ParquetTables, tmp_path: Path) -> None:
    """And one that only a later version knows, which is not lost either."""
    folder = tmp_path / "tables/jobs" / f"dt={DAY}"
    folder.mkdir(parents=True)
    old = pa.table({"job_id": ["old"], "window_start_ns": [0], "revision": [1], "zone": ["later"]})
    pq.write_table(old, folder / "old.parquet")
    (tmp_path / "tables/jobs/schema-0123456789abcdef.txt").write_text("what that version wrote")
    connection = connect(tmp_path)
    assert connection.execute("SELECT job_id, outcome, processes, zone FROM jobs").fetchall() == [
        ("old", None, None, "later")
    ]
    tables.write("jobs", DAY, "new", [job("new", 0, 1, outcome="stopped", processes=[])])
    found = connect(tmp_path).execute("SELECT job_id, outcome, processes, zone FROM jobs ORDER BY job_id").fetchall()
    assert found == [("new", "stopped", [], None), ("old", None, None, "later")]


def test_files_without_a_word_on_their_schema(tables: ParquetTables, tmp_path: Path) -> None:
    tables.write("jobs", DAY, "new", [job("new", 0, 1, outcome="stopped")])
    (marker,) = (tmp_path / "tables/jobs").glob("*.txt")
    assert marker.read_text().startswith("job_id: string\n")
    marker.unlink()
    old = pa.table({"job_id": ["old"], "window_start_ns": [0], "revision": [1]})
    pq.write_table(old, tmp_path / "tables/jobs" / f"dt={DAY}" / "a-first.parquet")
    found = connect(tmp_path).execute("SELECT job_id, outcome FROM jobs ORDER BY job_id").fetchall()
    assert found == [("new", "stopped"), ("old", None)]


def test_nested_columns_can_be_asked_for(tables: ParquetTables, tmp_path: Path) -> None:
    row = job("a", 0, 1, processes=[{"process_uuid": "0" * 32, "rank": None, "first": 0, "last": 4}])
    tables.write("jobs", DAY, "name", [row])
    versions = [{"key": "code", "value": "0.1.0"}]
    tables.write("traces", DAY, "name", [job("a", 0, 1, versions=versions, route=["denoise"])])
    connection = connect(tmp_path)
    query = "SELECT p.last - p.first, p.rank FROM (SELECT unnest(processes) AS p FROM jobs)"
    assert connection.execute(query).fetchall() == [(4, None)]
    query = "SELECT v.value, route[1] FROM (SELECT unnest(versions) AS v, route FROM traces) WHERE v.key = 'code'"
    assert connection.execute(query).fetchall() == [("0.1.0", "denoise")]


def test_values_that_do_not_fit() -> None:
    for row in (job("a", 2**63, 1), job("a", "x", 1), job("a", 0, 1, processes=7)):  # type: ignore[arg-type]
        with pytest.raises(BadUse, match="do not fit its schema"):
            to_parquet("jobs", [row])


def test_readers_beside_a_writer(tables: ParquetTables, tmp_path: Path) -> None:
    """No reader sees a half file: not of new names, and not of names that are written again with the same rows."""

    def write(place: int) -> None:
        tables.write("segments", DAY, f"name-{place}", [job("a", 0, 1, text="x" * 100_000, position=place)])

    write(0)
    connection, done = connect(tmp_path), threading.Event()

    def write_all() -> None:
        for place in range(60):
            write(place // 2 if place % 2 else place % 7)
        done.set()

    writer = threading.Thread(target=write_all)
    writer.start()
    while not done.is_set():
        found = connection.execute("SELECT count(*) > 0 AND min(length(text)) = 100000 FROM segments").fetchone()
        assert found == (True,)
    writer.join()


def test_a_warehouse_in_the_cloud_is_fetched_first() -> None:
    with pytest.raises(BadUse, match="rsync --recursive gs://bucket/prefix FOLDER`, and give FOLDER"):
        connect("gs://bucket/prefix")


def test_a_folder_as_an_address(tables: ParquetTables, tmp_path: Path) -> None:
    tables.write("jobs", DAY, "name", [job("a", 0, 1)])
    assert connect(f"file://{tmp_path}").execute("SELECT job_id FROM jobs").fetchall() == [("a",)]


@pytest.mark.parametrize(
    "name", ["job_id=zzz", "revision=7", "user=ann", "dt=2020-01-01", "zone=eu", "it's [a] *?", "{a,b}", "fée 訓練"]
)
def test_the_path_of_a_warehouse_says_nothing_about_its_rows(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "warehouse"
    tables = ParquetTables(LocalObjects(folder))
    for table in ("jobs", "traces", "segments"):
        tables.write(table, DAY, "name", [job("a", 0, 1), job("b", 0, 2)])
    tables.write("dead_letters", DAY, "name", [{"code": "too-large"}])
    connection = connect(folder)
    for table in ("jobs", "traces", "segments"):
        found = connection.execute(f"SELECT job_id, revision, dt::TEXT FROM {table} ORDER BY ALL")
        assert found.fetchall() == [("a", 1, DAY), ("b", 2, DAY)]
        names = [column[0] for column in connection.execute(f"FROM {table}").description]
        assert names == [*arrow_schema(table).names, "dt"]
    assert connection.execute("SELECT code, dt::TEXT FROM dead_letters").fetchall() == [("too-large", DAY)]


@pytest.mark.parametrize("name", ["a\\b", "caf\udce9"])
def test_a_path_that_duckdb_cannot_read_is_read_by_a_link(tmp_path: Path, name: str) -> None:
    ParquetTables(LocalObjects(tmp_path / name)).write("jobs", DAY, "name", [job("a", 0, 1)])
    with pytest.raises(BadUse, match="Give a link to it"):
        connect(tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / name)
    assert connect(tmp_path / "link").execute("SELECT job_id FROM jobs").fetchall() == [("a",)]


@pytest.mark.parametrize("name", [f"dt={DAY} (copy)", "dt=2026-02-30", "dt=new"])
def test_a_folder_that_is_no_day_is_named(tables: ParquetTables, tmp_path: Path, name: str) -> None:
    tables.write("jobs", DAY, "name", [job("a", 0, 1)])
    stray = tmp_path / "tables/jobs" / name
    stray.mkdir()
    assert connect(tmp_path).execute("SELECT job_id FROM jobs").fetchall() == [("a",)]
    shutil.copy(tmp_path / f"tables/jobs/dt={DAY}/name.parquet", stray)
    with pytest.raises(StoreError, match=re.escape(f"{stray} is no day of the table jobs") + ".*move it out"):
        connect(tmp_path)


@pytest.mark.parametrize("table", ["jobs", "dead_letters"])
def test_a_condition_on_the_day_spares_the_files_of_others(tables: ParquetTables, tmp_path: Path, table: str) -> None:
    """A file of another day that cannot be read is not even opened."""
    for day in (DAY, "2026-11-22", "2026-11-23"):
        tables.write(table, day, "name", [job("a", 0, 1) if table == "jobs" else {"code": "too-large"}])
    (tmp_path / "tables" / table / "dt=2026-11-22/name.parquet").write_bytes(b"PAR1 no more PAR1")
    connection = connect(tmp_path)
    assert connection.execute(f"SELECT dt::TEXT FROM {table} WHERE dt = '2026-11-23'").fetchall() == [("2026-11-23",)]
    with pytest.raises(duckdb.Error):
        connection.execute(f"SELECT count(*) FROM {table} WHERE dt >= '2026-11-22'").fetchall()


def test_a_file_that_duckdb_wrote_may_have_the_day_as_a_column(tables: ParquetTables, tmp_path: Path) -> None:
    tables.write("jobs", DAY, "name", [job("a", 0, 1)])
    file = tmp_path / f"tables/jobs/dt={DAY}/name.parquet"
    duckdb.connect().execute(f"COPY (FROM read_parquet('{file}')) TO '{file.with_name('other.parquet')}'")
    file.unlink()
    assert connect(tmp_path).execute("SELECT job_id, dt::TEXT FROM jobs").fetchall() == [("a", DAY)]


def test_every_trace_fits() -> None:
    """Fields that were added to the contracts are in the schema at once, as both come from the descriptors."""
    from tracewinnow.schemas.tables import rows

    for table, found in rows(PreprocessedTrace()).items():
        assert to_parquet(table, found)


def test_the_query_of_the_documentation_runs(tables: ParquetTables, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    [query] = re.findall(r"`(select [^`]*dead_letters[^`]*)`", page)
    tables.write("dead_letters", DAY, "name", [{"code": "too-large", "reason": "it is too large"}] * 2)
    found = duckdb.connect().execute(query.replace("WAREHOUSE", str(tmp_path))).fetchall()
    assert found == [("too-large", "it is too large", 2)]

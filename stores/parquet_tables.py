"""Tables as Parquet files, `tables/<table>/dt=YYYY-MM-DD/<name>.parquet`, and the DuckDB views that query them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracewinnow.schemas.errors import BadUse
from tracewinnow.schemas.tables import TABLES, arrow_schema, describe
from tracewinnow.stores.errors import StoreError
from tracewinnow.stores.objects import ObjectStore
from tracewinnow.stores.tables import Row, check_table

ROOT = "tables"


class ParquetTables:
    """Tables in an object store: one file a write, its bytes a function of the rows (and of the version of Arrow).

    Beside a table's files stands `schema-<hash>.txt` for every schema that any of them may have: where there is only
    one, a reader need not look into each file for its columns.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._marked: set[str] = set()

    def write(self, table: str, date: str, name: str, rows: Sequence[Row]) -> None:
        """See Tables. No rows write a file without rows, which replaces an earlier one of that name."""
        check_table(table, date)
        if table not in self._marked:
            self.store.put(f"{ROOT}/{table}/{_schema_name(table)}", describe(table).encode(), if_absent=True)
            self._marked.add(table)
        self.store.put(_file(table, date, name), to_parquet(table, rows))

    def has(self, table: str, date: str, name: str) -> bool:
        """Were rows, or none, written under this name? Blocks."""
        return self.store.exists(_file(table, date, name))


def to_parquet(table: str, rows: Sequence[Row]) -> bytes:
    """The Parquet file of rows. Raises BadUse for rows that do not fit."""
    schema = arrow_schema(table)
    known = set(schema.names)
    for row in rows:
        if row.keys() - known:
            raise BadUse(f"Rows for {table} have columns that it does not: {', '.join(sorted(row.keys() - known))}.")
    try:
        data = pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as wrong:
        raise BadUse(f"Rows for {table} do not fit its schema: {wrong}") from wrong
    sink = pa.BufferOutputStream()
    pq.write_table(data, sink, compression="zstd", use_dictionary=True, write_statistics=True)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def connect(root: str | os.PathLike[str]) -> Any:
    """A DuckDB connection in memory with the views jobs, traces, segments and dead_letters over the folder `root`.

    A view has the table's columns and `dt`, its day. Of each (job_id, window_start_ns) it keeps the highest revision.
    A table without files is empty; a column that old files lack is NULL. Files that are written later are seen, but
    in a table that had none when this connected. A query fails if a file is replaced by other rows while it reads it:
    ask again, or put the revision into names. Raises BadUse for a warehouse that DuckDB cannot read, and StoreError for
    a folder of a table that is no day.
    """
    import duckdb

    tables = _local(os.fspath(root)) / ROOT
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    for table in TABLES:
        empty = arrow_schema(table).append(pa.field("dt", pa.date32())).empty_table()
        connection.register(f"arrow_{table}", empty)
        connection.execute(f"CREATE TABLE empty_{table} AS FROM arrow_{table}")
        connection.unregister(f"arrow_{table}")
        connection.execute(f"CREATE VIEW {table} AS {_view(table, tables / table)}")
    return connection


def _local(root: str) -> Path:
    """The folder of a warehouse, where DuckDB can read it. Raises BadUse."""
    if "://" in (folder := root.removeprefix("file://")):
        raise BadUse(
            f"DuckDB reads the tables of a folder, not of {root}: fetch the warehouse first, such as with "
            f"`gcloud storage rsync --recursive {root} FOLDER`, and give FOLDER. Tables that the pipeline wrote to BigQuery "
            "are queried there."
        )
    if "\\" in folder or not _is_unicode(folder):
        raise BadUse(
            f"DuckDB cannot read {root!r}: a backslash separates folders to it, and names must be UTF-8. Give a link to it "
            "whose path has neither (ln -s), or rename it."
        )
    return Path(folder).absolute()


def _view(table: str, folder: Path) -> str:
    every = f"FROM empty_{table}"
    if list(_days(table, folder)):
        files = str(folder).translate(_GLOB).replace("'", "''") + "/dt=????-??-??/*.parquet"
        same = [path.name for path in folder.glob("schema-*.txt")] == [_schema_name(table)]
        # Not hive_partitioning: each name=value in the warehouse's own path would become a column, or take one's place.
        options = f"union_by_name = {not same}, hive_partitioning = false, filename = true"
        day = "regexp_extract(filename, '/dt=([^/]+)/[^/]+$', 1)::DATE"  # DuckDB shortens paths, so no place in it is known
        rows = f"SELECT COLUMNS('{_BUT_DT}'), {day} AS dt FROM read_parquet('{files}', {options})"  # noqa: S608
        every += f" UNION ALL BY NAME SELECT * EXCLUDE filename FROM ({rows})"  # noqa: S608
    if "revision" not in {column.name for column in TABLES[table].columns}:
        return every
    # A join, not a window function: that would hold every text in memory to compare two numbers. So would a CTE that is
    # materialized, and it would read every file: a window's rows have one day, so that a condition on `dt` spares both
    # sides the other files.
    key = "dt, job_id, window_start_ns"
    return f"""
        WITH every AS NOT MATERIALIZED ({every})
        SELECT every.* FROM every
        JOIN (SELECT {key}, max(revision) AS revision FROM every GROUP BY ALL) AS latest USING ({key}, revision)
    """  # noqa: S608 - names of our own


def _days(table: str, folder: Path) -> Iterator[str]:
    """The days of which a table has files. Raises StoreError for a folder with files that is no day, such as a copy of one."""
    for path in folder.glob("dt=*"):
        if next(path.glob("*.parquet"), None) is None:
            continue
        day = path.name.removeprefix("dt=")
        try:
            check_table(table, day)
        except BadUse as wrong:
            raise StoreError(
                f"{path} is no day of the table {table}, whose folders are called dt=YYYY-MM-DD: move it out of {folder}, "
                "then ask again."
            ) from wrong
        yield day


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of a path that are no UTF-8
        return False
    return True


def _file(table: str, date: str, name: str) -> str:
    return f"{ROOT}/{table}/dt={date}/{name}.parquet"


def _schema_name(table: str) -> str:
    return f"schema-{hashlib.sha256(describe(table).encode()).hexdigest()[:16]}.txt"


_GLOB = str.maketrans({sign: f"[{sign}]" for sign in "*?["})
_BUT_DT = "^(.|[^d].*|d[^t].*|dt.+)$"  # a file that DuckDB wrote may have a column `dt` itself

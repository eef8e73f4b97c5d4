"""Tables as Parquet files, `tables/<table>/dt=YYYY-MM-DD/<name>.parquet`, and the DuckDB views that query them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracewinnow.schemas.errors import BadUse
from tracewinnow.schemas.tables import TABLES, arrow_schema, describe
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
        self.store.put(f"{ROOT}/{table}/dt={date}/{name}.parquet", to_parquet(table, rows))


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
    ask again, or put the revision into names. Raises BadUse for a warehouse that is not a local folder.
    """
    import duckdb

    if "://" in os.fspath(root):
        raise BadUse(f"DuckDB reads a local warehouse, not {os.fspath(root)}: query the tables of BigQuery there.")
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    for table in TABLES:
        empty = arrow_schema(table).append(pa.field("dt", pa.date32())).empty_table()
        connection.register(f"arrow_{table}", empty)
        connection.execute(f"CREATE TABLE empty_{table} AS FROM arrow_{table}")
        connection.unregister(f"arrow_{table}")
        connection.execute(f"CREATE VIEW {table} AS {_view(table, Path(root).absolute() / ROOT / table)}")
    return connection


def _view(table: str, folder: Path) -> str:
    every = f"FROM empty_{table}"
    if next(folder.glob("dt=*/*.parquet"), None) is not None:
        files = str(folder).translate(_GLOB).replace("'", "''") + "/dt=*/*.parquet"
        same = [path.name for path in folder.glob("schema-*.txt")] == [_schema_name(table)]
        options = f"union_by_name = {not same}, hive_partitioning = true, hive_types = {{'dt': DATE}}"
        every += f" UNION ALL BY NAME FROM read_parquet('{files}', {options})"
    if "revision" not in {column.name for column in TABLES[table].columns}:
        return every
    # A join, not a window function: that would hold every text in memory to compare two numbers. A window's rows have
    # one day, so that a condition on `dt` spares both sides the other files.
    key = "dt, job_id, window_start_ns"
    return f"""
        WITH every AS ({every})
        SELECT every.* FROM every
        JOIN (SELECT {key}, max(revision) AS revision FROM every GROUP BY ALL) AS latest USING ({key}, revision)
    """  # noqa: S608 - names of our own


def _schema_name(table: str) -> str:
    return f"schema-{hashlib.sha256(describe(table).encode()).hexdigest()[:16]}.txt"


_GLOB = str.maketrans({sign: f"[{sign}]" for sign in "*?["})

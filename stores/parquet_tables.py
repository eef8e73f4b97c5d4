"""Tables as Parquet files, `tables/<table>/dt=YYYY-MM-DD/<name>.parquet`, and the DuckDB views that query them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracewinnow.schemas.errors import BadUse
from tracewinnow.schemas.tables import TABLES, arrow_schema
from tracewinnow.stores.objects import ObjectStore
from tracewinnow.stores.tables import Row, check_table

ROOT = "tables"


class ParquetTables:
    """Tables in an object store: one file a write, its bytes a function of the rows (and of the version of Arrow)."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def write(self, table: str, date: str, name: str, rows: Sequence[Row]) -> None:
        """See Tables. No rows write a file without rows, which replaces an earlier one of that name."""
        check_table(table, date)
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
        connection.execute(f"CREATE VIEW all_{table} AS {_every_row(table, Path(root).absolute())}")
        connection.execute(f"CREATE VIEW {table} AS {_latest(table)}")
    return connection


def _every_row(table: str, root: Path) -> str:
    empty = f"SELECT * FROM empty_{table}"  # noqa: S608 - names of our own
    folder = root / ROOT / table
    if next(folder.glob("dt=*/*.parquet"), None) is None:
        return empty
    files = str(folder).translate(_GLOB).replace("'", "''") + "/dt=*/*.parquet"
    found = f"read_parquet('{files}', union_by_name = true, hive_partitioning = true, hive_types = {{'dt': DATE}})"
    return f"{empty} UNION ALL BY NAME SELECT * FROM {found}"  # noqa: S608


def _latest(table: str) -> str:
    if "revision" not in {column.name for column in TABLES[table].columns}:
        return f"SELECT * FROM all_{table}"  # noqa: S608
    # A join, not a window function: that would hold every text in memory to compare two numbers.
    return f"""
        SELECT every.* FROM all_{table} AS every
        JOIN (SELECT job_id, window_start_ns, max(revision) AS revision FROM all_{table} GROUP BY ALL) AS latest
        USING (job_id, window_start_ns, revision)
    """  # noqa: S608


_GLOB = str.maketrans({sign: f"[{sign}]" for sign in "*?["})

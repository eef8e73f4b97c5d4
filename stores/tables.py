"""Tables: rows that follow the Arrow schemas of `tracewinnow.schemas.tables`, written by day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tracewinnow.schemas.errors import BadUse

Row = dict[str, Any]


class Tables(Protocol):
    """The tables jobs, traces, segments and dead_letters. Picklable; every method blocks."""

    def write(self, table: str, date: str, name: str, rows: Sequence[Row]) -> None:
        """Write rows under a name that is theirs for ever (see `objects.escape`), in the partition "YYYY-MM-DD".

        Writing the same again changes nothing. Other rows under the same name replace the earlier ones where the store
        can (files); where it cannot (BigQuery) readers keep the highest `revision`. Durable on return.
        Raises Transient, StoreError; BadUse for rows that do not fit the table.
        """


def open_tables(uri: str) -> Tables:
    """The tables of the warehouse at "some/folder", "gs://bucket/prefix" or "bq://project/dataset". Raises BadUse."""
    if uri.startswith("bq://"):
        from tracewinnow.stores.bigquery_tables import BigQueryTables

        project, _, dataset = uri[len("bq://") :].partition("/")
        return BigQueryTables(project, dataset)
    from tracewinnow.stores.objects import open_objects
    from tracewinnow.stores.parquet_tables import ParquetTables

    return ParquetTables(open_objects(uri))


def check_table(table: str, date: str) -> None:
    """Raises BadUse for a table that is not one of ours, or a partition that is no day."""
    from datetime import datetime

    from tracewinnow.schemas.tables import TABLES

    if table not in TABLES:
        raise BadUse(f"No table {table!r}: there are {', '.join(TABLES)}.")
    try:
        if datetime.strptime(date, "%Y-%m-%d").strftime("%Y-%m-%d") == date:
            return
    except ValueError:
        pass
    raise BadUse(f"No partition {date!r}: give a day as YYYY-MM-DD.")

"""Tables in BigQuery, by streaming inserts. The tables are made by Terraform."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tracewinnow.schemas.errors import BadUse, Transient
from tracewinnow.schemas.tables import TABLES, Column
from tracewinnow.stores.errors import StoreError
from tracewinnow.stores.tables import Row, check_table

# BigQuery's limits for one insert are 10 MB and 50,000 rows, and it advises 500 rows.
INSERT_BYTES = 5_000_000
INSERT_ROWS = 500
ROW_BYTES = 9_000_000  # a larger row is not sent: what stands around it counts as well
RETRY_SECONDS = 60.0  # the client retries what may pass for this long, then Transient is raised
_MAY_PASS = {"backendError", "internalError", "rateLimitExceeded", "quotaExceeded", "timeout", "stopped"}


class RowsRefused(StoreError):
    """Rows that BigQuery will never take as they are; the others of the write are in. rows: the place of each, and why."""

    def __init__(self, table: str, rows: dict[int, str]) -> None:
        place, why = min(rows.items())
        more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
        super().__init__(f"BigQuery refused row {place} of {table}: {why}{more}")
        self.table = table
        self.rows = rows

    def __reduce__(self) -> tuple[type, tuple[str, dict[int, str]]]:
        return type(self), (self.table, self.rows)


class BigQueryTables:
    """Tables in a dataset, written by tabledata.insertAll.

    A row's insertId is the hash of its content, so that a repeated write is dropped: for about a minute, and as far as
    BigQuery can. endpoint: another server than Google's, which is then called without credentials; BIGQUERY_EMULATOR_HOST
    does the same.
    """

    def __init__(self, project: str, dataset: str, *, endpoint: str | None = None) -> None:
        if not project or not dataset or "/" in dataset:
            raise BadUse("Name the project and the dataset: bq://PROJECT/DATASET.")
        self.project, self.dataset, self.endpoint = project, dataset, endpoint
        self._client: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}  # connections do not travel

    def write(self, table: str, date: str, name: str, rows: Sequence[Row]) -> None:
        """See Tables. `name` is not used: BigQuery does not replace what it has.

        Raises RowsRefused for rows that are refused for themselves, when all others are in.
        """
        check_table(table, date)
        if not rows:
            return
        lines = [json_row(table, date, row) for row in rows]
        ids = _insert_ids(table, lines)
        refused = {
            place: f"it has {len(line):,} bytes, and a row may have {ROW_BYTES:,}"
            for place, line in enumerate(lines)
            if len(line) > ROW_BYTES
        }
        fit = [place for place in range(len(lines)) if place not in refused]
        for first, last in _requests([len(lines[place]) for place in fit]):
            places = fit[first:last]
            while places:  # of a request with a row that is refused none is taken: the others go again
                wrong = self._insert(table, {place: lines[place] for place in places}, ids)
                if not wrong:
                    break
                refused |= wrong
                places = [place for place in places if place not in wrong]
        if refused:
            raise RowsRefused(table, refused)

    def _insert(self, table: str, lines: dict[int, str], ids: Sequence[str]) -> dict[int, str]:
        """One request; returns which rows it refused, and why."""
        places = list(lines)
        with _clear_errors(table):
            failed = self._connect().insert_rows_json(
                self._table(table),
                [json.loads(line) for line in lines.values()],
                row_ids=[ids[place] for place in places],
                retry=_retry(),
            )
        return {places[index]: why for index, why in _refused(table, failed).items()}

    def _table(self, table: str) -> str:
        return f"{self.project}.{self.dataset}.{table}"

    def _connect(self) -> Any:
        if self._client is None:
            try:
                from google.auth.credentials import AnonymousCredentials
                from google.cloud import bigquery
            except ModuleNotFoundError as missing:
                raise BadUse("bq:// needs the BigQuery client: pip install 'tracewinnow[cloud]'") from missing
            import os

            other = self.endpoint or os.environ.get("BIGQUERY_EMULATOR_HOST")
            self._client = bigquery.Client(
                project=self.project,
                credentials=AnonymousCredentials() if other else None,
                client_options={"api_endpoint": other} if other else None,
            )
        return self._client


def json_row(table: str, date: str, row: Row) -> str:
    """A row as one line of JSON in BigQuery's form: bytes in base64, NaN and infinities as strings, and `dt`."""
    columns = {column.name: column for column in TABLES[table].columns}
    if row.keys() - columns.keys():
        unknown = ", ".join(sorted(row.keys() - columns.keys()))
        raise BadUse(f"Rows for {table} have columns that it does not: {unknown}.")
    values = {name: _value(columns[name], value) for name, value in row.items()}
    return json.dumps({"dt": date, **values}, separators=(",", ":"), allow_nan=False)


def _value(column: Column, value: Any) -> Any:
    if column.repeated:
        return [_value(column._replace(repeated=False), item) for item in value or ()]
    if value is None:
        return None
    if column.kind == "record":
        return {field.name: _value(field, value.get(field.name)) for field in column.fields}
    if column.kind == "bytes":
        return base64.b64encode(value).decode()
    if column.kind == "int":
        return str(value)  # a number of JSON may lose digits above 2^53
    if column.kind == "float" and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def _requests(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """[first, last) of the rows of each insert."""
    first, total = 0, 0
    for place, size in enumerate(sizes):
        if place > first and (total + size > INSERT_BYTES or place - first == INSERT_ROWS):
            yield first, place
            first, total = place, 0
        total += size
    if sizes:
        yield first, len(sizes)


def _insert_ids(table: str, lines: Sequence[str]) -> list[str]:
    """By content alone: a retry may find a row beside others. Of equal rows in a write each has its own."""
    seen: Counter[str] = Counter()
    ids = []
    for line in lines:
        ids.append(hashlib.sha256(f"{table}\0{seen[line]}\0{line}".encode()).hexdigest())
        seen[line] += 1
    return ids


def _refused(table: str, failed: Sequence[dict[str, Any]]) -> dict[int, str]:
    """failed: BigQuery's insertErrors. Rows that are "stopped" failed only because of others.

    Raises Transient where no row is refused for itself.
    """
    refused: dict[int, str] = {}
    passing = ""
    for entry in failed:
        errors = entry.get("errors") or [{"message": "no reason was given"}]
        wrong = [error for error in errors if error.get("reason") not in _MAY_PASS]
        error = (wrong or errors)[0]
        text = f"{error.get('message') or error.get('reason')} ({error.get('location') or error.get('reason')})"
        if wrong:
            refused[entry["index"]] = text
        elif error.get("reason") != "stopped" or not passing:
            passing = f"BigQuery did not take row {entry['index']} of {table}: {text}"
    if passing and not refused:
        raise Transient(passing)
    return refused


def _retry() -> Any:
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(RETRY_SECONDS)


@contextmanager
def _clear_errors(table: str) -> Iterator[None]:
    """What the client raises becomes an error of the tree that says what to do."""
    from google.api_core import exceptions as api
    from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import Timeout

    try:
        yield
    except api.NotFound as missing:
        raise StoreError(f"BigQuery has no table {table}: make it first. {missing}") from missing
    except (api.Forbidden, api.Unauthorized, RefreshError, DefaultCredentialsError) as refused:
        if any(error.get("reason") in _MAY_PASS for error in getattr(refused, "errors", ())):
            raise Transient(f"BigQuery limits writes to {table}: {refused}") from refused
        raise StoreError(f"No access to table {table}: {refused}. Check the credentials and their roles.") from refused
    except (api.ServerError, api.TooManyRequests, api.RetryError, TransportError, NoConnection, Timeout) as failed:
        raise Transient(f"BigQuery does not answer for {table}: {failed}") from failed
    except api.GoogleAPICallError as refused:
        raise StoreError(f"BigQuery refused {table}: {refused}") from refused

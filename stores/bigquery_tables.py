"""Tables in BigQuery: streaming inserts as results come, load jobs for backfill. The tables are made by Terraform."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from tracewinnow.schemas.errors import BadUse, Transient
from tracewinnow.schemas.tables import TABLES, Column
from tracewinnow.stores.errors import StoreError
from tracewinnow.stores.tables import Row, check_table

# BigQuery's limits for one insert are 10 MB and 50,000 rows, and it advises 500 rows.
INSERT_BYTES = 5_000_000
INSERT_ROWS = 500
RETRY_SECONDS = 60.0  # the client retries what may pass for this long, then Transient is raised
RETRIES = 6  # of an upload, after 1, 2, 4, ... seconds
LOAD_SECONDS = 900.0
LOAD_ATTEMPTS = 4  # jobs that one write begins,
BACKOFF_SECONDS = 1.0  # with 1, 2, 4 seconds between them
_MAY_PASS = {"backendError", "internalError", "rateLimitExceeded", "quotaExceeded", "timeout", "stopped"}


class BigQueryTables:
    """Tables in a dataset. method: "stream" for tabledata.insertAll, "load" for load jobs (free, slower to be seen).

    A row's insertId is the hash of its content, and a load job's id that of its rows, so that a repeated write is
    dropped: of inserts for about a minute and as far as BigQuery can, of load jobs surely. endpoint: another server
    than Google's, which is then called without credentials; BIGQUERY_EMULATOR_HOST does the same.
    """

    def __init__(
        self, project: str, dataset: str, *, method: Literal["stream", "load"] = "stream", endpoint: str | None = None
    ) -> None:
        if not project or not dataset or "/" in dataset:
            raise BadUse("Name the project and the dataset: bq://PROJECT/DATASET.")
        self.project, self.dataset, self.method, self.endpoint = project, dataset, method, endpoint
        self._client: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}  # connections do not travel

    def write(self, table: str, date: str, name: str, rows: Sequence[Row]) -> None:
        """See Tables. `name` only goes into the ids: BigQuery does not replace what it has."""
        check_table(table, date)
        if not rows:
            return
        if self.method == "load":
            self._load(table, date, name, rows)
        else:
            self._insert(table, date, name, rows)

    def _insert(self, table: str, date: str, name: str, rows: Sequence[Row]) -> None:
        lines = [json_row(table, date, row) for row in rows]
        for first, last in _requests([len(line) for line in lines]):
            ids = [
                hashlib.sha256(f"{table}\0{name}\0{place}\0{lines[place]}".encode()).hexdigest()
                for place in range(first, last)
            ]
            with _clear_errors(table):
                failed = self._connect().insert_rows_json(
                    self._table(table), [json.loads(line) for line in lines[first:last]], row_ids=ids, retry=_retry()
                )
            if failed:
                _raise_for_rows(table, failed)

    def _load(self, table: str, date: str, name: str, rows: Sequence[Row]) -> None:
        data = "\n".join(json_row(table, date, row) for row in rows).encode()
        digest = hashlib.sha256(f"{table}\0{name}\0".encode() + data).hexdigest()
        begun = 0
        for number in itertools.count():
            with _clear_errors(table):
                job, new = self._load_job(table, f"tracewinnow-{digest}-{number}", data)
                begun += new
                try:
                    job.result(retry=_retry(), timeout=LOAD_SECONDS)
                    return
                except Exception:
                    # The id of a job that failed is used up. One that failed before our time says nothing of now: the table may
                    # have been mended. What may pass is tried under the next one, later each time.
                    reason = (job.error_result or {}).get("reason")
                    if reason is None or (new and (begun == LOAD_ATTEMPTS or reason not in _MAY_PASS)):
                        raise
            if new:
                time.sleep(BACKOFF_SECONDS * 2 ** (begun - 1))

    def _load_job(self, table: str, job_id: str, data: bytes) -> tuple[Any, bool]:
        """Start the job, or find the one of this id that was started before; and whether it is new."""
        from google.api_core.exceptions import Conflict
        from google.cloud import bigquery

        client = self._connect()
        options = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
        )
        try:
            job = client.load_table_from_file(
                io.BytesIO(data),
                self._table(table),
                size=len(data),
                job_id=job_id,
                job_config=options,
                num_retries=RETRIES,
            )
            return job, True
        except Conflict:
            location = client.get_table(self._table(table), retry=_retry()).location
            return client.get_job(job_id, location=location, retry=_retry()), False

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
    yield first, len(sizes)


def _raise_for_rows(table: str, failed: Sequence[dict[str, Any]]) -> None:
    """failed: BigQuery's insertErrors. Rows that are "stopped" failed only because of others."""
    errors = [(entry["index"], error) for entry in failed for error in entry.get("errors", [])]
    refused = [(index, error) for index, error in errors if error.get("reason") not in _MAY_PASS]
    if not errors:
        raise StoreError(f"BigQuery refused row {failed[0].get('index')} of {table} and gave no reason")
    index, error = (refused or errors)[0]
    text = f"BigQuery refused row {index} of {table}: {error.get('message') or error.get('reason')}"
    raise (StoreError if refused else Transient)(f"{text} ({error.get('location') or error.get('reason')})")


def _retry() -> Any:
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(RETRY_SECONDS)


@contextmanager
def _clear_errors(table: str) -> Iterator[None]:
    """What the client raises becomes an error of the tree that says what to do."""
    from concurrent.futures import TimeoutError as TookTooLong

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
    except TookTooLong as late:
        raise Transient(f"A load job into {table} is not done after {LOAD_SECONDS:.0f} s.") from late
    except api.GoogleAPICallError as refused:
        raise StoreError(f"BigQuery refused {table}: {refused}") from refused

"""A server of our own for the part of BigQuery's REST interface that `BigQueryTables` uses; rows are kept in DuckDB.

It is not BigQuery and not an emulator of it. It was written from the documentation, and does of it:

- tables.insert, tables.get              https://cloud.google.com/bigquery/docs/reference/rest/v2/tables
- tabledata.insertAll                    https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll
  all rows or none; unknown fields, wrong types and missing required fields per row, the others "stopped"; rows with an
  insertId that was seen are dropped (BigQuery promises that for about a minute, as far as it can); its limits

What it cannot show: how the real one orders, delays, limits and bills, and queries.
"""

from __future__ import annotations

import base64
import http.server
import json
import re
import threading
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

INSERT_BYTES, INSERT_ROWS = 10_000_000, 50_000
TABLE = re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables(?:/([^/?]+))?(/insertAll)?")
TYPES = {
    "INTEGER": pa.int64(),
    "FLOAT": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "DATE": pa.date32(),
}


class Refused(Exception):
    """An answer that is not 200. reason: the word for it in BigQuery's error table."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class BadRow(Exception):
    """location: the field."""

    def __init__(self, location: str, message: str) -> None:
        super().__init__(message)
        self.location = location


class Table:
    """A table with its rows in DuckDB."""

    def __init__(self, resource: dict[str, Any]) -> None:
        self.resource = resource
        self.fields = resource["schema"]["fields"]
        self.seen: set[str] = set()
        self.schema = pa.schema([_arrow_field(field) for field in self.fields])
        self.connection = duckdb.connect(":memory:")
        self._add("CREATE TABLE kept AS FROM incoming", [])

    def insert_all(self, request: dict[str, Any]) -> dict[str, Any]:
        if len(request["rows"]) > INSERT_ROWS:
            raise Refused(400, "invalid", "too many rows present in the request")
        values, errors = [], {}
        for index, row in enumerate(request["rows"]):
            try:
                values.append((row.get("insertId"), _record(self.fields, row["json"], "")))
            except BadRow as bad:
                errors[index] = {"reason": "invalid", "location": bad.location, "debugInfo": "", "message": str(bad)}
        if errors:
            stopped = {"reason": "stopped", "location": "", "debugInfo": "", "message": ""}
            all_errors = [{"index": i, "errors": [errors.get(i, stopped)]} for i in range(len(request["rows"]))]
            return {"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": all_errors}
        fresh = []
        for insert_id, value in values:
            if insert_id is None or insert_id not in self.seen:
                fresh.append(value)
            self.seen.add(insert_id)
        self._add("INSERT INTO kept FROM incoming", fresh)
        return {"kind": "bigquery#tableDataInsertAllResponse"}

    def rows(self) -> list[dict[str, Any]]:
        return as_rows(self.connection.execute("FROM kept"))

    def _add(self, statement: str, values: list[dict[str, Any]]) -> None:
        self.connection.register("incoming", pa.Table.from_pylist(values, schema=self.schema))
        self.connection.execute(statement)
        self.connection.unregister("incoming")


def as_rows(found: Any) -> list[dict[str, Any]]:
    """What a DuckDB query found."""
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _arrow_field(field: dict[str, Any]) -> pa.Field:
    inner = field.get("fields")
    kind = pa.struct([_arrow_field(one) for one in inner]) if inner else TYPES[field["type"]]
    return pa.field(field["name"], pa.list_(kind) if field.get("mode") == "REPEATED" else kind)


def _record(fields: list[dict[str, Any]], row: Any, path: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise BadRow(path, "This field is a record.")
    names = {field["name"] for field in fields}
    for name in row:
        if name not in names:
            raise BadRow(path + name, f"no such field: {path}{name}.")
    found = {}
    for field in fields:
        here, value = path + field["name"], row.get(field["name"])
        if field.get("mode") == "REPEATED":
            if value is not None and not isinstance(value, list):
                raise BadRow(here, "This field is an array.")
            found[field["name"]] = [_value(field, item, here) for item in value or []]
        elif value is None and field.get("mode") == "REQUIRED":
            raise BadRow(here, f"Missing required field: {here}.")
        else:
            found[field["name"]] = None if value is None else _value(field, value, here)
    return found


def _value(field: dict[str, Any], value: Any, here: str) -> Any:
    kind = field["type"]
    try:
        if kind == "RECORD":
            return _record(field["fields"], value, here + ".")
        if isinstance(value, (dict, list)) or value is None:
            raise ValueError
        if kind == "INTEGER":
            number = int(value) if not isinstance(value, float) else int(str(value))
            if not -(2**63) <= number < 2**63:
                raise ValueError
            return number
        if kind == "FLOAT":
            return float(value)
        if kind == "BYTES":
            return base64.b64decode(value, validate=True)
        if kind == "DATE":
            return date.fromisoformat(value)
        if kind == "BOOLEAN" and not isinstance(value, bool):
            raise ValueError
    except (ValueError, TypeError):
        raise BadRow(here, f"Cannot convert value to {kind.lower()} (bad value): {value}") from None
    return str(value) if kind == "STRING" else value


class BigQueryServer(http.server.ThreadingHTTPServer):
    """Serves on a free port of 127.0.0.1. Set `failures` to have the next requests fail with `failure`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.tables: dict[tuple[str, str, str], Table] = {}
        self.lock = threading.Lock()
        self.failures = 0
        self.failure = Refused(
            503, "backendError", "Error encountered during execution. Retrying may solve the problem."
        )
        self.fail_after = False  # True: the request is carried out, and its answer lost
        self.requests: list[str] = []

    def serve(self) -> None:
        """Serve until `shutdown`."""
        self.serve_forever(poll_interval=0.01)

    def make_table(self, project: str, dataset: str, table: str, resource: dict[str, Any]) -> dict[str, Any]:
        if (project, dataset, table) in self.tables:
            raise Refused(409, "duplicate", f"Already Exists: Table {project}:{dataset}.{table}")
        reference = {"projectId": project, "datasetId": dataset, "tableId": table}
        made = {**resource, "kind": "bigquery#table", "tableReference": reference, "location": "US", "type": "TABLE"}
        self.tables[project, dataset, table] = Table(made)
        return made

    def table(self, project: str, dataset: str, table: str) -> Table:
        if (project, dataset, table) not in self.tables:
            raise Refused(404, "notFound", f"Not found: Table {project}:{dataset}.{table}")
        return self.tables[project, dataset, table]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: BigQueryServer
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = self.server
        with server.lock:
            server.requests.append(f"{self.command} {self.path}")
            try:
                fails, server.failures = server.failures > 0, max(0, server.failures - 1)
                if fails and not server.fail_after:
                    raise server.failure
                status, answer, headers = self._answer(body)
                if fails:
                    raise server.failure
            except Exception as failed:  # noqa: BLE001 - the client would try again for a minute
                refused = (
                    failed if isinstance(failed, Refused) else Refused(400, "defect", f"of the stand-in: {failed!r}")
                )
                error = {"reason": refused.reason, "message": str(refused), "domain": "global"}
                status, headers = refused.status, {}
                answer = {"error": {"code": status, "message": str(refused), "errors": [error]}}
        content = json.dumps(answer).encode() if answer is not None else b""
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _serve

    def _answer(self, body: bytes) -> tuple[int, Any, dict[str, str]]:
        if found := TABLE.match(self.path):
            return 200, self._table(*found.groups(), body=body), {}
        raise Refused(404, "notFound", f"this stand-in does not know {self.command} {self.path}")

    def _table(self, project: str, dataset: str, table: str | None, insert_all: str | None, body: bytes) -> Any:
        if table is None:
            resource = json.loads(body)
            return self.server.make_table(project, dataset, resource["tableReference"]["tableId"], resource)
        found = self.server.table(project, dataset, table)
        if not insert_all:
            return found.resource
        if len(body) > INSERT_BYTES:
            raise Refused(413, "invalid", f"Request payload size exceeds the limit: {INSERT_BYTES} bytes.")
        return found.insert_all(json.loads(body))

    def log_message(self, *_: object) -> None:
        pass

"""BigQuery that fails, refuses and answers twice; and the stand-in against its documentation, by the official client."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from google.api_core.exceptions import Conflict, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from tracewinnow.schemas.errors import BadUse, Transient
from tracewinnow.schemas.tables import rows
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores import bigquery_tables
from tracewinnow.stores.bigquery_tables import BigQueryTables, RowsRefused
from tracewinnow.stores.errors import StoreError

from .bigquery_server import BigQueryServer, Refused

DAY = "2026-11-21"
ROWS = rows(PreprocessedTrace(job_id="job"))["jobs"]


def count(server: BigQueryServer, table: str = "jobs") -> int:
    return len(server.table("p", "d", table).rows())


@pytest.fixture
def tables(bigquery_server: BigQueryServer) -> BigQueryTables:
    return BigQueryTables("p", "d", endpoint=bigquery_server.url)


def test_a_short_failure_passes(tables: BigQueryTables, bigquery_server: BigQueryServer) -> None:
    bigquery_server.failures = 1
    tables.write("jobs", DAY, "name", ROWS)
    assert count(bigquery_server) == 1


def test_an_answer_that_is_lost_doubles_nothing(tables: BigQueryTables, bigquery_server: BigQueryServer) -> None:
    bigquery_server.failures, bigquery_server.fail_after = 1, True
    tables.write("jobs", DAY, "name", ROWS)
    assert count(bigquery_server) == 1


def test_a_long_failure_is_transient(
    tables: BigQueryTables, bigquery_server: BigQueryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigquery_tables, "RETRY_SECONDS", 0.2)
    bigquery_server.failures = 1_000_000
    with pytest.raises(Transient, match="BigQuery does not answer for jobs"):
        tables.write("jobs", DAY, "name", ROWS)


def test_no_server_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bigquery_tables, "RETRY_SECONDS", 0.2)
    with pytest.raises(Transient, match="does not answer"):
        BigQueryTables("p", "d", endpoint="http://127.0.0.1:9").write("jobs", DAY, "name", ROWS)


def test_no_table(tables: BigQueryTables, bigquery_server: BigQueryServer) -> None:
    del bigquery_server.tables["p", "d", "jobs"]
    with pytest.raises(StoreError, match="BigQuery has no table jobs: make it first"):
        tables.write("jobs", DAY, "name", ROWS)


def test_no_rights(tables: BigQueryTables, bigquery_server: BigQueryServer) -> None:
    bigquery_server.failures, bigquery_server.failure = 10, Refused(403, "accessDenied", "Permission denied")
    with pytest.raises(StoreError, match=r"No access to table jobs: .*Check the credentials"):
        tables.write("jobs", DAY, "name", ROWS)


def test_a_quota_is_transient(
    tables: BigQueryTables, bigquery_server: BigQueryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigquery_tables, "RETRY_SECONDS", 0.2)
    bigquery_server.failures, bigquery_server.failure = 1_000_000, Refused(403, "quotaExceeded", "Quota exceeded")
    with pytest.raises(Transient, match="BigQuery limits writes to jobs"):
        tables.write("jobs", DAY, "name", ROWS)


def test_a_row_that_is_refused(tables: BigQueryTables, bigquery_server: BigQueryServer) -> None:
    """The table was made by hand, with a field that we do not write."""
    resource = bigquery_server.table("p", "d", "jobs").resource
    resource["schema"]["fields"].append({"name": "zone", "type": "STRING", "mode": "REQUIRED"})
    del bigquery_server.tables["p", "d", "jobs"]
    bigquery_server.make_table("p", "d", "jobs", resource)
    with pytest.raises(StoreError, match="Missing required field: zone"):
        tables.write("jobs", DAY, "name", ROWS)
    assert count(bigquery_server) == 0


def test_the_other_rows_are_taken(tables: BigQueryTables, bigquery_server: BigQueryServer) -> None:
    good = {**ROWS[0], "reason": "r"}
    with pytest.raises(RowsRefused) as refused:
        tables.write("jobs", DAY, "name", [{**good, "part": 1}, {**good, "part": 2**63}, {**good, "part": 2}])
    assert set(pickle.loads(pickle.dumps(refused.value)).rows) == {1}
    assert "Cannot convert value to integer" in refused.value.rows[1]
    assert [row["part"] for row in bigquery_server.table("p", "d", "jobs").rows()] == [1, 2]


def test_a_row_that_comes_again_beside_others_is_dropped(
    tables: BigQueryTables, bigquery_server: BigQueryServer
) -> None:
    some = [{**ROWS[0], "part": part} for part in range(4)]
    for name, written in (("a", some[:3]), ("b", some[:2]), ("c", some[2:])):
        tables.write("jobs", DAY, name, written)
    assert count(bigquery_server) == 4


def test_inserts_stay_within_the_limits(bigquery_server: BigQueryServer) -> None:
    tables = BigQueryTables("p", "d", endpoint=bigquery_server.url)
    large = [{**ROWS[0], "reason": "x" * 3_000_000, "part": part} for part in range(5)]
    tables.write("jobs", DAY, "name", large)
    tables.write("jobs", DAY, "small", [{**ROWS[0], "part": part} for part in range(1001)])
    assert count(bigquery_server) == 1006
    assert len([line for line in bigquery_server.requests if "insertAll" in line]) == 5 + 3
    with pytest.raises(RowsRefused, match="row 0 of jobs: it has 10,000,"):
        tables.write("jobs", DAY, "name", [{**ROWS[0], "reason": "x" * 10_000_000}, {**ROWS[0], "part": 9999}])
    assert count(bigquery_server) == 1007


def test_names(bigquery_server: BigQueryServer) -> None:
    for project, dataset in (("", "d"), ("p", ""), ("p", "d/e")):
        with pytest.raises(BadUse, match="bq://PROJECT/DATASET"):
            BigQueryTables(project, dataset)


# The stand-in itself


@pytest.fixture
def client(bigquery_server: BigQueryServer) -> Any:
    return bigquery.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": bigquery_server.url}
    )


FIELDS = [
    bigquery.SchemaField("name", "STRING", "REQUIRED"),
    bigquery.SchemaField("number", "INTEGER"),
    bigquery.SchemaField("data", "BYTES", "REPEATED"),
    bigquery.SchemaField("inner", "RECORD", "REPEATED", fields=[bigquery.SchemaField("x", "FLOAT")]),
]


def test_server_makes_tables(client: Any) -> None:
    table = bigquery.Table("p.d.made", FIELDS)
    client.create_table(table)
    with pytest.raises(Conflict):
        client.create_table(table)
    assert client.get_table("p.d.made").schema == FIELDS
    with pytest.raises(NotFound):
        client.get_table("p.d.other")


def test_server_inserts_all_rows_or_none(client: Any, bigquery_server: BigQueryServer) -> None:
    client.create_table(bigquery.Table("p.d.made", FIELDS))
    good: dict[str, Any] = {"name": "a", "number": "9007199254740993", "data": ["/w=="], "inner": [{"x": "NaN"}]}
    bad = [
        {"name": "b", "color": 1},
        {"number": 1},
        {"name": "c", "number": 1.5},
        {"name": "d", "inner": [{"y": 1}]},
        {"name": "e", "data": "/w=="},
        {"name": "f", "data": ["not base64"]},
        {"name": "g", "number": "9223372036854775808"},
    ]
    errors = client.insert_rows_json("p.d.made", [good, *bad])
    assert [entry["errors"][0]["reason"] for entry in errors] == ["stopped"] + ["invalid"] * 7
    assert [entry["errors"][0]["location"] for entry in errors[1:]] == [
        "color", "name", "number", "inner.y", "data", "data", "number",
    ]  # fmt: skip
    assert count(bigquery_server, "made") == 0
    assert client.insert_rows_json("p.d.made", [good], row_ids=["id"]) == []
    (row,) = bigquery_server.table("p", "d", "made").rows()
    assert (row["number"], row["data"]) == (9007199254740993, [b"\xff"])


def test_server_drops_rows_whose_id_was_seen(client: Any, bigquery_server: BigQueryServer) -> None:
    client.create_table(bigquery.Table("p.d.made", FIELDS))
    for ids in (["1", "2"], ["2", "3"], ["1", "3"]):
        assert client.insert_rows_json("p.d.made", [{"name": "x"}] * 2, row_ids=ids) == []
    assert count(bigquery_server, "made") == 3
    client.insert_rows_json("p.d.made", [{"name": "x"}] * 2, row_ids=[None, None])
    assert count(bigquery_server, "made") == 5

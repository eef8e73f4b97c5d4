"""Tables derived from the contracts: the checked-in copies are current, and rows fit every schema."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tracewinnow.schemas.copies import HERE, copies
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.tables import TABLES, arrow_schema, bigquery_table, date_of, dead_letter_row, rows
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace


def full_trace() -> PreprocessedTrace:
    """Every field is set, to a value that says which."""
    trace = PreprocessedTrace(trace_id="job/0/1", job_id="job", window_start_ns=10**18, part=1, revision=7, text="text")
    for key in ("b", "a"):
        trace.versions[key] = key.upper()
    trace.seconds["rank"] = 1.5
    trace.route.extend(["denoise", "rank"])
    trace.classes.add(label="noise", segments_dropped=3)
    trace.notes.add(stage="compress", what="skipped", reason="a CPU job")
    trace.processes.add(process_uuid="0" * 32, rank=0, first=0, last=6)
    trace.processes.add(process_uuid="1" * 32, first=2, last=3)
    trace.job.outcome, trace.job.exit_code, trace.job.world_size = "crashed", 0, 8
    trace.segments.add(first=1, last=2, label="context", text="one", ranks=[0, 1], confidence=0.5)
    trace.segments.add(kind="series", text="two")
    return trace


def test_the_checked_in_copies_are_current() -> None:
    for path, text in copies().items():
        assert (HERE / path).read_text(encoding="utf-8") == text, "run: python -m tracewinnow.schemas.copies"
    kept = {path.relative_to(HERE) for folder in ("bigquery", "arrow") for path in (HERE / folder).iterdir()}
    assert kept == set(copies())


def test_rows_have_the_columns_of_their_tables() -> None:
    found = rows(full_trace())
    found["dead_letters"] = [dead_letter_row(DeadLetter(original=b"\xff", headers={"b": b"\0", "a": b"1"}))]
    assert set(found) == set(TABLES)
    for table, table_rows in found.items():
        assert [list(row) for row in table_rows] == [arrow_schema(table).names] * len(table_rows)
        assert pa.Table.from_pylist(table_rows, schema=arrow_schema(table)).to_pylist() == table_rows


def test_rows_of_a_trace() -> None:
    found = rows(full_trace())
    (job,) = found["jobs"]
    assert (job["job_id"], job["revision"], job["outcome"], job["exit_code"]) == ("job", 7, "crashed", 0)
    assert [process["rank"] for process in job["processes"]] == [0, None]
    (trace,) = found["traces"]
    assert trace["versions"] == [{"key": "a", "value": "A"}, {"key": "b", "value": "B"}]
    assert not {"seconds", "segments", "job"} & trace.keys()
    assert trace["container"] == full_trace().container
    first, second = found["segments"]
    assert (first["position"], first["text"], first["ranks"], first["part"]) == (0, "one", [0, 1], 1)
    assert (second["position"], second["kind"], second["trace_id"]) == (1, "series", "job/0/1")


def test_a_trace_that_says_nothing() -> None:
    found = rows(PreprocessedTrace())
    assert found["segments"] == []
    assert found["jobs"][0]["exit_code"] is None
    for table, table_rows in found.items():
        pa.Table.from_pylist(table_rows, schema=arrow_schema(table))


def test_dead_letters_keep_every_byte() -> None:
    letter = DeadLetter(original=bytes(range(256)), topic="t", offset=2**62, headers={"z": b"\xff", "a": b""})
    row = dead_letter_row(letter)
    assert (row["original"], row["offset"]) == (bytes(range(256)), 2**62)
    assert row["headers"] == [{"key": "a", "value": b""}, {"key": "z", "value": b"\xff"}]


def test_bigquery_has_the_columns_of_arrow_and_the_day() -> None:
    for table in TABLES:
        made = bigquery_table(table)
        names = [field["name"] for field in made["schema"]["fields"]]
        assert names == ["dt", *arrow_schema(table).names]
        assert set(made["clustering"]["fields"]) <= set(names)
        assert TABLES[table].time in names


@pytest.mark.parametrize(
    ("time_ns", "day"),
    [(0, "1970-01-01"), (86_399_999_999_999, "1970-01-01"), (86_400 * 10**9, "1970-01-02"), (-1, "1969-12-31")],
)
def test_days(time_ns: int, day: str) -> None:
    assert date_of(time_ns) == day


def test_the_base_installation_can_import_it() -> None:
    """Without pyarrow and what else is an extra."""
    script = """
import sys
for extra in ("pyarrow", "duckdb", "zstandard", "apache_beam", "google.cloud"):
    sys.modules[extra] = None
import tracewinnow.schemas.tables, tracewinnow.schemas.validate, tracewinnow.schemas.compatibility
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parent)

"""The numbers of a job as a table, and what is said of those that are not there."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Cli
from tests.serving.conftest import SECOND, START, Writer, batch
from tracewinnow.schemas.telemetry_pb2 import ACCELERATOR_CPU, DType, TelemetryBatch
from tracewinnow.transforms.assemble import assemble
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.preprocess import preprocess


def numeric(job: str = "llama-1") -> TelemetryBatch:
    made = batch(job, 0, 0, ["hello"])
    for step in range(3):
        event = made.events.add(time_ns=START + step * SECOND)
        event.metrics.step = step
        event.metrics.metrics.add(name="loss", value=2.5 - step)
        event.metrics.metrics.add(name="=cmd|'/c calc'", value=float("nan"))
    memory = made.events.add(time_ns=START).memory
    memory.device, memory.used_bytes = "cuda:0", 2**63
    sparse = made.events.add(time_ns=START).sparse
    sparse.name, sparse.step = "relu", 7
    sparse.shape.extend([4])
    sparse.indices.data, sparse.values.dtype = np.array([1, 3], "<u4").tobytes(), DType.DTYPE_FLOAT16
    sparse.values.data = np.array([0.5, -2], "<f2").tobytes()
    span = made.events.add(time_ns=START + SECOND).span
    span.name, span.device, span.start_ns, span.duration_ns = "load", "host", START, 5
    span.error = "OSError: gone"
    return made


def write(writer: Writer, made: TelemetryBatch) -> None:
    trace = preprocess(
        assemble([made], window_start_ns=START, window_end_ns=START + 60 * SECOND, revision=1), Options()
    )
    trace.seconds.clear()
    writer.trace(trace)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_series_as_csv(cli: Cli, writer: Writer) -> None:
    write(writer, numeric())
    said = cli("series", "llama", "--warehouse", "warehouse")
    assert said.code == 0
    found = read(said.out)
    loss = [(row["step"], row["value"]) for row in found if row["name"] == "loss"]
    assert loss == [("0", "2.5"), ("1", "1.5"), ("2", "0.5")]
    assert {row["value"] for row in found if row["name"].startswith("=cmd")} == {"nan"}
    [used] = [row for row in found if row["name"] == "used_bytes"]
    assert (used["kind"], used["of"], used["rank"], float(used["value"])) == ("memory", "cuda:0", "0", 2.0**63)
    assert "llama-1: 10 rows." in said.err


def test_spans_and_sparse_tensors(cli: Cli, writer: Writer) -> None:
    write(writer, numeric())
    [span] = read(cli("series", "llama", "--kind", "spans", "--warehouse", "warehouse").out)
    assert (span["name"], span["device"], span["duration_ns"], span["error"]) == ("load", "host", "5", "OSError: gone")
    entries = read(cli("series", "llama", "--kind", "sparse", "--warehouse", "warehouse").out)
    assert [(row["step"], row["index"], row["value"]) for row in entries] == [("7", "1", "0.5"), ("7", "3", "-2")]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_one_series_to_a_file(cli: Cli, writer: Writer, ending: str) -> None:
    write(writer, numeric())
    said = cli("series", "llama", "--name", "loss", "--out", f"loss.{ending}", "--warehouse", "warehouse")
    assert (said.code, said.out) == (0, "")
    if ending == "csv":
        values = [float(row["value"]) for row in read(Path("loss.csv").read_text())]
    else:
        values = pq.read_table("loss.parquet")["value"].to_pylist()
    assert values == [2.5, 1.5, 0.5]


def test_what_has_no_container_is_said(cli: Cli, writer: Writer) -> None:
    made = numeric()
    made.accelerator = ACCELERATOR_CPU
    write(writer, made)
    said = cli("series", "llama", "--warehouse", "warehouse")
    assert (said.code, read(said.out)) == (0, [])
    assert "Note: numbers: a job on CPUs" in said.err
    twice = numeric("twice")
    twice.events[1].metrics.metrics.add(name="loss", value=1.0)
    write(writer, twice)
    said = cli("series", "twice", "--warehouse", "warehouse")
    assert "Note: 1 numeric events are not in the container, the archive has them: 1 that have a name twice" in said.err
    assert len(read(said.out)) == 8


def test_a_damaged_container(cli: Cli, writer: Writer) -> None:
    trace = preprocess(assemble([numeric()], window_start_ns=START, revision=1), Options())
    trace.container = trace.container[:-20]
    writer.trace(trace)
    said = cli("series", "llama", "--warehouse", "warehouse")
    assert said.code == 1
    assert "is damaged" in said.err
    assert "`tracewinnow rebuild --job llama-1 --warehouse warehouse` makes it again" in said.err


def test_a_container_that_is_gone(cli: Cli, writer: Writer) -> None:
    trace = preprocess(assemble([numeric()], window_start_ns=START, revision=1), Options())
    trace.container_uri = "containers/dt=2026-01-01/gone.twc"
    writer.trace(trace)
    said = cli("series", "llama", "--warehouse", "warehouse")
    assert (said.code, said.out) == (1, "")
    assert "gone.twc; `tracewinnow rebuild --job llama-1 --warehouse warehouse` makes it again" in said.err


def test_bad_use(cli: Cli, writer: Writer) -> None:
    write(writer, numeric())
    said = cli("series", "llama", "--out", "x.xlsx", "--warehouse", "warehouse")
    assert said.code == 2
    assert ".csv or .parquet" in said.err


def test_the_container_of_a_trace_under_codec(cli: Cli, writer: Writer, tmp_path: Path) -> None:
    trace = preprocess(assemble([numeric()], window_start_ns=START, revision=1), Options())
    (tmp_path / "c.twc").write_bytes(trace.container)
    said = cli("codec", "inspect", "c.twc")
    assert '"kind": "metrics"' in said.out
    assert "content bundle" in said.out
    assert cli("codec", "decode", "c.twc", "x.csv").code == 2
    assert cli("codec", "decode", "c.twc", "x.csv", "--part", "99").code == 2
    assert cli("codec", "decode", "c.twc", "x.csv", "--part", "0").code == 0
    assert Path("x.csv").read_text().startswith('"step","0/loss"')


@pytest.mark.parametrize("out", [(), ("--out", "loss.csv")], ids=["stdout", "file"])
def test_a_name_that_no_series_has(cli: Cli, writer: Writer, out: tuple[str, ...]) -> None:
    write(writer, numeric())
    said = cli("series", "llama", "--name", "lss", "--warehouse", "warehouse", *out)
    assert said.code == 1
    assert "llama-1 has no series called lss; it has =cmd|'/c calc', limit_bytes, loss, " in said.err
    assert not Path("loss.csv").exists()


def test_one_name_of_two(cli: Cli, writer: Writer) -> None:
    write(writer, numeric())
    said = cli("series", "llama", "--name", "lss", "--name", "loss", "--warehouse", "warehouse")
    assert said.code == 1
    assert len(read(said.out)) == 3
    assert "llama-1 has no series called lss" in said.err


def test_a_dash_is_standard_output(cli: Cli, writer: Writer) -> None:
    write(writer, numeric())
    plain, dash = (cli("series", "llama-1", "--warehouse", "warehouse", *out) for out in ((), ("--out", "-")))
    assert dash == plain
    assert dash.code == 0


def test_a_table_that_cannot_be_written(cli: Cli, writer: Writer) -> None:
    write(writer, numeric())
    said = cli("series", "llama-1", "--warehouse", "warehouse", "--out", "/nonexist/a.csv")
    assert (said.code, said.out) == (2, "")
    assert "there is no folder /nonexist to write /nonexist/a.csv in" in said.err

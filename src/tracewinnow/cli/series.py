"""`tracewinnow series`: the numbers that a job sent, from what was stored of them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from tracewinnow.cli.folder import folder_option
from tracewinnow.cli.output import binary_stdout, whole
from tracewinnow.codec import CodecError
from tracewinnow.schemas.errors import BadUse, TracewinnowError
from tracewinnow.serving.damage import rebuild_command
from tracewinnow.serving.numbers import COLUMNS, TEXT, tables
from tracewinnow.serving.text import plain
from tracewinnow.serving.warehouse import Warehouse

NAMED = 20  # that there are, where a name is not


@click.command(
    epilog="""\b
Examples:
  tracewinnow series llama-7b-0412 --warehouse warehouse | head
  tracewinnow series llama-7b-0412 --warehouse warehouse --name loss --out loss.csv
  tracewinnow series llama-7b-0412 --warehouse warehouse --kind spans --out spans.parquet
"""
)
@click.argument("job")
@click.option(
    "--kind", type=click.Choice(list(COLUMNS)), default="series", show_default=True,
    help="series: metrics, statistics of layers and memory; spans: the timeline; sparse: entries of sparse tensors.",
)  # fmt: skip
@click.option("--name", "names", multiple=True, help="Only what is called so; may be given several times.")
@click.option(
    "--out", default="-", type=click.Path(dir_okay=False, allow_dash=True), metavar="FILE",
    help="Write to FILE, .csv or .parquet; without it, or for -, CSV on stdout.",
)  # fmt: skip
@folder_option
def command(job: str, kind: str, names: tuple[str, ...], out: str, warehouse: str) -> None:
    """Fetch the numbers that JOB sent, a row each: from which window, what, which rank, step, time, value.

    Times are Unix nanoseconds. Every number is as the job sent it, but for a bound that the pipeline was given, and for
    integers beyond 2^53, which are rounded here; `tracewinnow.codec` reads them from the tables whole.
    """
    if out != "-" and Path(out).suffix not in (".csv", ".parquet"):
        raise BadUse(f"{out}: the name of the file says its format: give .csv or .parquet")
    opened = Warehouse(warehouse)
    job_id = opened.find(job)
    schema = pa.schema([(name, _type(name)) for name in COLUMNS[kind]])
    count = 0
    known: set[str] = set()
    found = _tables(opened, job_id, kind)
    first = list(itertools.islice(found, 1))  # what fails at once leaves no head of a table behind
    with _target(out) as target, _writer(target, out, schema) as writer:
        for columns in itertools.chain(first, found):
            some = pa.table([pa.array(columns[name], _type(name)) for name in COLUMNS[kind]], schema=schema)
            if names:
                known.update(pa.compute.unique(some["name"]).to_pylist())
                some = some.filter(pa.compute.is_in(some["name"], pa.array(names, pa.string())))
            writer.write_table(some)
            count += len(some)
        if names and known.isdisjoint(names):
            raise _none_called(names, known, kind, job_id)
    for reason in opened.numbers_left_out(job_id):
        click.echo(f"Note: {plain(reason)}", err=True)
    click.echo(f"{plain(job_id)}: {count:,} rows.", err=True)
    if missing := sorted(set(names) - known):
        raise _none_called(missing, known, kind, job_id)


def _tables(opened: Warehouse, job_id: str, kind: str) -> Iterator[dict[str, Any]]:
    try:
        yield from tables(opened, job_id, kind)
    except CodecError as wrong:
        again = f"`{rebuild_command(job_id, opened.uri)}` makes it again from the archive"
        raise TracewinnowError(f"a container of {plain(job_id)} is damaged ({wrong}); {again}") from wrong


def _none_called(missing: Sequence[str], known: Collection[str], kind: str, job_id: str) -> TracewinnowError:
    names = sorted(known)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    there = f"it has {', '.join(names[:NAMED])}{more}" if names else "it has none at all"
    return TracewinnowError(plain(f"{job_id} has no {kind} called {' or '.join(missing)}; {there}"))


def _target(out: str) -> AbstractContextManager[Any]:
    return binary_stdout() if out == "-" else whole(out)


def _writer(target: Any, out: str, schema: pa.Schema) -> Any:
    if Path(out).suffix == ".parquet":
        return pa.parquet.ParquetWriter(target, schema, compression="zstd")
    return pa.csv.CSVWriter(target, schema)


def _type(name: str) -> pa.DataType:
    return pa.string() if name in TEXT else pa.float64() if name == "value" else pa.int64()

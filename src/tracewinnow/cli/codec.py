"""`tracewinnow codec`: numeric containers from and to npz, csv and parquet, and what is in them."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import click
import numpy as np

from tracewinnow.codec import (
    CodecError,
    Coo,
    Series,
    decode_bundle,
    decode_series,
    decode_sparse,
    encode_series,
    encode_sparse,
)
from tracewinnow.codec.inspect import describe
from tracewinnow.schemas.errors import BadUse, TracewinnowError

FORMATS = ("npz", "csv", "parquet")


@click.group(
    epilog="""\b
Examples:
  tracewinnow codec encode norms.npz norms.twc --rel-error 1e-3
  tracewinnow codec decode norms.twc norms.csv
  tracewinnow codec inspect norms.twc
  cat norms.csv | tracewinnow codec encode --from csv - - | tracewinnow codec decode --to parquet - out.parquet
"""
)
def command() -> None:
    """Encode, decode and inspect numeric containers."""


@command.command(
    epilog="""\b
A csv or parquet file has a column for each series; a column called `step` holds the steps. In an npz file the array
--array holds the samples (steps, names), `names` and `steps` their names and steps, if they are there.

\b
Examples:
  tracewinnow codec encode run.npz run.twc --array grad_norm --rel-error 1e-3
  tracewinnow codec encode metrics.parquet metrics.twc --json
  tracewinnow codec encode activations.npz activations.twc --sparse
"""
)
@click.argument("source")
@click.argument("target")
@click.option("--from", "kind", type=click.Choice(FORMATS), help="Format of SOURCE; else from its name.")
@click.option("--array", help="Array of an npz file; needed if it has several.")
@click.option("--rel-error", type=float, help="Largest relative error of a sample; lossless without a bound.")
@click.option("--abs-error", type=float, help="Largest absolute error of a sample.")
@click.option("--sparse", is_flag=True, help="The array is one sparse tensor of any rank.")
@click.option("--json", "as_json", is_flag=True, help="Sizes as JSON, on stderr if the container goes to stdout.")
def encode(
    source: str, target: str, kind: str | None, array: str | None, rel_error: float | None, abs_error: float | None,
    sparse: bool, as_json: bool,
) -> None:  # fmt: skip
    """Encode SOURCE (npz, csv, parquet; - is stdin) into the container TARGET (- is stdout)."""
    not_the_same(source, target)
    values, names, steps = read_table(source, kind or kind_of(source), array)
    try:
        if sparse:
            if abs_error is not None:
                raise BadUse("--abs-error is not for sparse tensors; use --rel-error")
            data = encode_sparse(values, rel_error=rel_error)
        else:
            data = encode_series(values, names=names, steps=steps, rel_error=rel_error, abs_error=abs_error)
    except CodecError as wrong:
        raise BadUse(str(wrong)) from None
    write(target, data)
    each, ratio = len(data) / max(values.size, 1), values.nbytes / len(data)
    if as_json:
        told = {"samples": values.size, "bytes": len(data), "bytes_per_sample": each, "ratio": ratio}
        click.echo(json.dumps(told), err=target == "-")
    else:
        click.echo(f"{values.size} samples, {len(data)} bytes, {each:.3f} a sample, ratio {ratio:.1f}", err=True)


@command.command(
    epilog="""\b
Examples:
  tracewinnow codec decode run.twc run.npz
  tracewinnow codec decode run.twc - --to csv --name loss --first-step 1000 --last-step 1100
  tracewinnow codec decode unfinished.twc rescued.npz --recover
  tracewinnow codec decode bundle.twc norms.csv --part 4
"""
)
@click.argument("source")
@click.argument("target")
@click.option("--to", "kind", type=click.Choice(FORMATS), help="Format of TARGET; else from its name.")
@click.option("--name", "names", multiple=True, help="Only this series; may be given several times.")
@click.option("--first-step", type=int, help="Only from this step on.")
@click.option("--last-step", type=int, help="Only up to this step.")
@click.option("--recover", is_flag=True, help="Read the whole chunks of a file that was not finished.")
@click.option("--part", type=click.IntRange(min=0), help="Part of a bundle, from 0, as `inspect` lists them.")
def decode(
    source: str, target: str, kind: str | None, names: tuple[str, ...], first_step: int | None, last_step: int | None,
    recover: bool, part: int | None,
) -> None:  # fmt: skip
    """Decode the container SOURCE (- is stdin) into TARGET (npz, csv, parquet; - is stdout)."""
    not_the_same(source, target)
    data = read(source)
    kind = kind or kind_of(target)
    span = None
    if first_step is not None or last_step is not None:
        span = (
            -(2**63) if first_step is None else first_step,
            2**63 if last_step is None else last_step + 1,
        )
    try:
        if len(data) > 5 and data[5] == 5:
            data = part_of(data, part)
        if len(data) > 5 and data[5] == 2:
            write_sparse(target, decode_sparse(data, coo=True), kind)
            return
        series = decode_series(data, names=list(names) or None, step_range=span, recover=recover)
    except CodecError as wrong:
        raise TracewinnowError(f"{source}: {str(wrong).replace('recover=True', '--recover')}") from None
    write_table(target, series, kind)


@command.command(
    epilog="""\b
Examples:
  tracewinnow codec inspect run.twc
  tracewinnow codec inspect --json run.twc | jq .bytes_per_sample
"""
)
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def inspect(source: str, as_json: bool) -> None:
    """Show the chunks of a container, their sizes, the predictors, and bytes a sample of each series."""
    try:
        found = describe(read(source))
    except CodecError as wrong:
        raise TracewinnowError(f"{source}: {wrong}") from None
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(", ".join(f"{key} {value}" for key, value in found.items() if not isinstance(value, list)))
    for part in ("parts", "chunks", "series"):
        for row in found.get(part, []):
            click.echo("  " + "  ".join(f"{key} {show(value)}" for key, value in row.items()))


def not_the_same(source: str, target: str) -> None:
    """Raises BadUse where the result would be written over what it is made from."""
    if (
        "-" not in (source, target)
        and Path(target).exists()
        and Path(source).exists()
        and Path(source).samefile(target)
    ):
        raise BadUse(f"{target} is the file that is read: give another target")


def part_of(data: bytes, number: int | None) -> bytes:
    """A part of a bundle. Raises BadUse where there is none of that number."""
    parts = list(decode_bundle(data))
    if number is None or number >= len(parts):
        raise BadUse(f"a bundle of {len(parts)} parts: choose one with --part, see `tracewinnow codec inspect`")
    return bytes(parts[number].data)


def show(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    # A name from a file may hold what a terminal obeys.
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)


def kind_of(path: str) -> str:
    suffix = Path(path).suffix[1:].lower()
    if suffix not in FORMATS:
        raise BadUse(f"the format of {path} is not in its name: use --from or --to with one of {', '.join(FORMATS)}")
    return suffix


def read(source: str) -> bytes:
    return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()


def write(target: str, data: bytes) -> None:
    if target == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        Path(target).write_bytes(data)


def read_table(source: str, kind: str, array: str | None) -> tuple[np.ndarray[Any, Any], list[str] | None, Any]:
    """(samples, names or None, steps or None)."""
    data = io.BytesIO(read(source))
    if kind == "npz":
        return read_npz(data, array)
    pyarrow = arrow()
    try:
        table = pyarrow.csv.read_csv(data) if kind == "csv" else pyarrow.parquet.read_table(data)
    except pyarrow.ArrowException as wrong:
        raise TracewinnowError(f"{source} is not {kind}: {wrong}") from None
    if twice := sorted({name for name in table.column_names if table.column_names.count(name) > 1}):
        raise TracewinnowError(
            f"{source}: the column `{twice[0]}` stands there twice; each series needs a name of its own"
        )
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    steps = columns.pop("step", None)
    if steps is not None and steps.dtype.kind not in "iu":
        raise TracewinnowError(f"{source}: the column `step` holds no integers")
    if not columns or any(column.dtype.kind not in "iuf" for column in columns.values()):
        raise TracewinnowError(f"{source}: every column but `step` holds numbers, and there is at least one")
    kinds = {column.dtype for column in columns.values()}
    dtype = kinds.pop() if len(kinds) == 1 else np.dtype(np.float64)
    if dtype.kind in "iu":
        dtype = np.dtype(np.int64)
    for name, column in columns.items():
        if column.dtype.kind in "iu" and not held(column, dtype):
            raise TracewinnowError(f"{source}: the column `{name}` holds integers that {dtype} cannot: encode it alone")
    return np.stack([column.astype(dtype) for column in columns.values()], axis=1), list(columns), steps


def held(column: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> bool:
    """Whether integers come back the same from this dtype."""
    most, least = int(column.max(initial=0)), int(column.min(initial=0))
    if dtype.kind == "i":
        return most <= np.iinfo(dtype).max
    return max(most, -least) <= 2**53 or bool((column.astype(dtype).astype(column.dtype) == column).all())


def read_npz(data: io.BytesIO, array: str | None) -> tuple[np.ndarray[Any, Any], list[str] | None, Any]:
    try:
        arrays = np.load(data, allow_pickle=False)
        values = {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as wrong:
        raise TracewinnowError(f"the input is not npz, or holds objects: {wrong}") from None
    known = [name for name in values if name not in ("names", "steps")]
    if array is None and len(known) != 1:
        raise BadUse(f"choose one with --array: {', '.join(known) or 'there is none'}")
    chosen = array or known[0]
    if chosen not in values:
        raise BadUse(f"no array is called {chosen}; there are {', '.join(known)}")
    samples = values[chosen]
    names = [str(name) for name in values["names"]] if "names" in values and samples.ndim == 2 else None
    if names is not None and len(names) != samples.shape[1]:
        names = None
    steps = values.get("steps")
    return samples, names, steps if steps is not None and len(steps) == len(samples) else None


def write_table(target: str, series: Series, kind: str) -> None:
    names = series.names or [f"series_{j}" for j in range(series.values.shape[1])]
    out = io.BytesIO()
    if kind == "npz":
        np.savez_compressed(out, values=series.values, names=np.array(names, np.str_), steps=series.steps)
    else:
        pyarrow = arrow()
        if "step" in names:
            raise BadUse("a series is called `step`, which is the column of the steps: decode to npz")
        arrays = [series.steps, *series.values.T]
        table = pyarrow.table([pyarrow.array(np.ascontiguousarray(a)) for a in arrays], names=["step", *names])
        if kind == "csv":
            pyarrow.csv.write_csv(table, out)
        else:
            pyarrow.parquet.write_table(table, out)
    write(target, out.getvalue())


def write_sparse(target: str, tensor: Coo, kind: str) -> None:
    if kind != "npz":
        raise BadUse("a sparse tensor is decoded to npz: shape, index and values")
    out = io.BytesIO()
    shape = np.array(tensor.shape, np.int64)
    if tensor.values is None:
        np.savez_compressed(out, shape=shape, index=tensor.index)
    else:
        np.savez_compressed(out, shape=shape, index=tensor.index, values=tensor.values)
    write(target, out.getvalue())


def arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise BadUse("csv and parquet need pyarrow: pip install pyarrow; npz needs nothing more") from None
    return pyarrow

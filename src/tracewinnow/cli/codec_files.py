"""Tables and containers that `tracewinnow codec` reads and writes: npz, csv, parquet, and standard input and output."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tracewinnow.cli.output import binary_stdout, whole
from tracewinnow.codec import Coo, Series
from tracewinnow.schemas.errors import BadUse, TracewinnowError

FORMATS = ("npz", "csv", "parquet")


def not_the_same(source: str, target: str) -> None:
    """Raises BadUse where the result would be written over what it is made from."""
    if (
        "-" not in (source, target)
        and Path(target).exists()
        and Path(source).exists()
        and Path(source).samefile(target)
    ):
        raise BadUse(f"{target} is the file that is read: give another target")


def kind_of(path: str) -> str:
    suffix = Path(path).suffix[1:].lower()
    if suffix not in FORMATS:
        raise BadUse(f"the format of {path} is not in its name: use --from or --to with one of {', '.join(FORMATS)}")
    return suffix


def read(source: str) -> bytes:
    if source != "-":
        return Path(source).read_bytes()
    if sys.stdin is None:
        raise BadUse("standard input is closed: give a file")
    return sys.stdin.buffer.read()


def write(target: str, data: bytes) -> None:
    if target == "-":
        with binary_stdout() as out:
            out.write(data)
    else:
        with whole(target) as place:
            place.write_bytes(data)


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

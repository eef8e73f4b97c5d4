"""Series: samples by step and name, in tiles. FORMAT.md, section 5."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import ArrayLike, NDArray

from . import container, streams, tile
from .errors import BadArgument, Corrupt
from .limits import (
    BLOCK,
    MAX_BYTES,
    MAX_COLUMNS,
    MAX_NAME_BYTES,
    MAX_NAMES_BYTES,
    MAX_TILE_STEPS,
    TILE_COLUMNS,
    TILE_SAMPLES,
)
from .varint import Cursor, section, signed, varint

DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.float64),
    3: np.dtype(np.float16),
    4: np.dtype(np.int64),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}
LOSSLESS, RELATIVE, ABSOLUTE = 0, 1, 2
NO_STEPS, REGULAR, IRREGULAR, AS_BEFORE = 0, 1, 2, 3


@dataclass(frozen=True)
class Series:
    """values: (steps, names), each name's samples contiguous (Fortran order). steps: int64, one for each row."""

    values: NDArray[Any]
    names: list[str] | None
    steps: NDArray[np.int64]
    rel_error: float | None = None
    abs_error: float | None = None


@dataclass(frozen=True)
class Meta:
    """What holds for the whole series."""

    dtype: np.dtype[Any]
    columns: int
    names: list[str] | None
    rel_error: float | None
    abs_error: float | None


def encode_series(
    values: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    steps: ArrayLike | None = None,
    rel_error: float | None = None,
    abs_error: float | None = None,
) -> bytes:
    """A container of samples (steps, names): float32, float64, float16 or int64; one dimension is one series.

    Without a bound every bit comes back. With rel_error, |decoded / value - 1| <= rel_error, with abs_error
    |decoded - value| <= abs_error, for every finite sample; zeros, denormals, infinities and NaN come back exactly.
    names: one for each column, no two alike. steps: increasing or not, int64; 0, 1, 2, ... if not given.
    Raises BadArgument. Runs on one thread, without the GIL where the time goes.

    >>> data = encode_series(np.ones((1000, 2), np.float32), names=["a", "b"])
    >>> decode_series(data, names=["b"]).values.shape
    (1000, 1)
    """
    array, meta = check(values, names, rel_error, abs_error)
    at = check_steps(steps, len(array))
    parts = [(container.META, dump_meta(meta), 0, 0, 0)]
    for first, stop in rows(len(array), meta.columns):
        body = encode_rows(array[first:stop], at[first:stop], meta, first)
        parts.append((container.DATA, body, *extent(at[first:stop])))
    return container.pack(container.SERIES, parts)


def extent(steps: NDArray[np.int64]) -> tuple[int, int, int]:
    """(rows, least step, how far above it the greatest lies), as the chunk table says it."""
    if not len(steps):
        return 0, 0, 0
    low = int(steps.min())
    return len(steps), low, int(steps.max()) - low


def check(
    values: ArrayLike, names: Sequence[str] | None, rel_error: float | None, abs_error: float | None
) -> tuple[NDArray[Any], Meta]:
    """The samples as a C-contiguous array of a known dtype in native order, and what holds for them all."""
    array = np.asarray(values)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise BadArgument(f"samples have (steps, names), not {array.ndim} dimensions")
    dtype = array.dtype.newbyteorder("=")
    if dtype not in CODES:
        raise BadArgument(f"dtype {array.dtype} is not one of float32, float64, float16, int64: cast it first")
    if array.shape[1] > MAX_COLUMNS:
        raise BadArgument(f"{array.shape[1]} names; at most {MAX_COLUMNS} are allowed")
    if rel_error is not None and abs_error is not None:
        raise BadArgument("rel_error or abs_error, not both")
    for bound in (rel_error, abs_error):
        if bound is not None and not 0 < bound < float("inf"):
            raise BadArgument(f"an error bound is above 0 and finite, not {bound}; leave it out for lossless")
    if rel_error is not None and rel_error >= 1:
        raise BadArgument(f"rel_error is below 1, not {rel_error}")
    known = None if names is None else [str(name) for name in names]
    if known is not None:
        if len(known) != array.shape[1]:
            raise BadArgument(f"{len(known)} names for {array.shape[1]} columns")
        if len(set(known)) != len(known):
            raise BadArgument("two columns have the same name")
        try:
            sizes = [len(name.encode("utf-8", "surrogateescape")) for name in known]
        except UnicodeEncodeError as wrong:
            raise BadArgument(f"a name is no text: {wrong}") from None
        if max(sizes, default=0) > MAX_NAME_BYTES:
            raise BadArgument(f"a name has more than {MAX_NAME_BYTES} bytes")
        if sum(sizes) + 3 * len(sizes) > MAX_NAMES_BYTES:
            raise BadArgument(f"all names together have more than {MAX_NAMES_BYTES} bytes")
    meta = Meta(dtype, array.shape[1], known, _float(rel_error), _float(abs_error))
    return np.ascontiguousarray(array, dtype), meta


def _float(bound: float | None) -> float | None:
    return None if bound is None else float(bound)


def check_steps(steps: ArrayLike | None, count: int) -> NDArray[np.int64]:
    if steps is None:
        return np.arange(count, dtype=np.int64)
    array = np.asarray(steps)
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise BadArgument(f"steps are {count} integers, not {array.dtype} of shape {array.shape}")
    if array.dtype.kind == "u" and array.size and int(array.max()) >= 1 << 63:
        raise BadArgument("a step is beyond 63 bits")
    return array.astype(np.int64)


def rows(count: int, columns: int) -> Iterable[tuple[int, int]]:
    """(first, stop) of the rows of each data chunk: tiles of about TILE_SAMPLES, of even length."""
    most = min(max(TILE_SAMPLES // max(min(columns, TILE_COLUMNS), 1), BLOCK), MAX_TILE_STEPS)
    chunks = -(-count // most)
    size = -(-count // max(chunks, 1) // BLOCK) * BLOCK if count > BLOCK else count
    for first in range(0, count, max(size, 1)):
        yield first, min(first + size, count)


def dump_meta(meta: Meta) -> bytes:
    out = bytearray((CODES[meta.dtype],)) + varint(meta.columns)
    if meta.rel_error is not None:
        out += bytes((RELATIVE,)) + struct.pack("<d", meta.rel_error)
    elif meta.abs_error is not None:
        out += bytes((ABSOLUTE,)) + struct.pack("<d", meta.abs_error)
    else:
        out += bytes((LOSSLESS,))
    if meta.names is None:
        return bytes(out) + b"\0"
    encoded = [name.encode("utf-8", "surrogateescape") for name in meta.names]
    text = b"".join(varint(len(name)) for name in encoded) + b"".join(encoded)
    return bytes(out) + b"\1" + section(zstandard.compress(text, 9))


def load_meta(cursor: Cursor, most: int = MAX_NAMES_BYTES) -> Meta:
    """What holds for the whole series. most: bytes that its names may have."""
    code = cursor.u8()
    if code not in DTYPES:
        raise cursor.corrupt(f"unknown dtype {code}")
    columns = cursor.varint(MAX_COLUMNS)
    kind = cursor.u8()
    if kind > ABSOLUTE:
        raise cursor.corrupt(f"unknown kind of bound {kind}")
    bound = cursor.f64() if kind else None
    if bound is not None and not 0 < bound < float("inf"):
        raise cursor.corrupt(f"error bound {bound}")
    named = cursor.u8()
    if named > 1:
        raise cursor.corrupt("names are there (1) or not (0)")
    names = None
    if named:
        text = Cursor(streams.expand_up_to(cursor.part(), min(columns * (MAX_NAME_BYTES + 3), most)))
        sizes = [text.varint(MAX_NAME_BYTES) for _ in range(columns)]
        try:
            names = [bytes(text.take(size)).decode("utf-8", "surrogateescape") for size in sizes]
        except UnicodeDecodeError:
            raise cursor.corrupt("a name is not UTF-8") from None
        text.done()
    cursor.done()
    return Meta(DTYPES[code], columns, names, bound if kind == RELATIVE else None, bound if kind == ABSOLUTE else None)


def encode_rows(values: NDArray[Any], steps: NDArray[np.int64], meta: Meta, first: int) -> bytes:
    """Payload of a data chunk: number of its first row, steps, then a tile for every TILE_COLUMNS columns."""
    out = [varint(first) + varint(len(values)) + dump_steps(steps)]
    for j in range(0, meta.columns, TILE_COLUMNS):
        part = np.ascontiguousarray(values[:, j : j + TILE_COLUMNS])
        coded = tile.encode(part, meta.rel_error, meta.abs_error)
        out += [varint(len(coded)), coded]
    return b"".join(out)


def dump_steps(steps: NDArray[np.int64]) -> bytes:
    """Regular steps by start and stride; others by pcodec, which takes differences."""
    if len(steps) == 0:
        return bytes((NO_STEPS,))
    stride = int(steps[1]) - int(steps[0]) if len(steps) > 1 else 1
    # Differences wrap: only where the last step is where the stride leads is none of them beyond 64 bits.
    leads = int(steps[0]) + stride * (len(steps) - 1) == int(steps[-1])
    if leads and -(1 << 62) < stride < 1 << 62 and bool((np.diff(steps) == stride).all()):
        return bytes((REGULAR,)) + signed(int(steps[0])) + signed(stride)
    return bytes((IRREGULAR,)) + section(streams.entropy_code(steps, streams.ANY))


def load_steps(cursor: Cursor, count: int) -> NDArray[np.int64]:
    kind = cursor.u8()
    if kind == NO_STEPS and count == 0:
        return np.zeros(0, np.int64)
    if kind == REGULAR:
        start, stride = cursor.signed(), cursor.signed()
        last = start + stride * (count - 1)
        if not (-(1 << 63) <= start < 1 << 63 and -(1 << 63) <= last < 1 << 63):
            raise cursor.corrupt("steps beyond 64 bits")
        steps = np.arange(count, dtype=np.int64)
        if stride != 1:
            steps *= stride
        if start:
            steps += start
        return steps
    if kind == IRREGULAR:
        return streams.entropy_decode(cursor.part(), count, np.dtype(np.int64))
    raise cursor.corrupt(f"unknown kind of steps {kind}")


def decode_series(
    data: bytes | memoryview,
    *,
    names: Sequence[str] | None = None,
    step_range: tuple[int, int] | None = None,
    recover: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Series:
    """The samples of a container, or some of them: only these names, only rows whose step is in [step_range[0],
    step_range[1]).

    Chunks outside the rows asked for are not read. recover=True reads the whole chunks of a file that was not finished.
    Raises Corrupt, Truncated, TooNew, and BadArgument if a name is not there or the result would be above max_bytes.
    """
    view = memoryview(data)
    if container.open_header(view) != container.SERIES:
        raise BadArgument("the container holds no series")
    meta, bodies = open_series(view, recover, step_range, min(max_bytes, MAX_NAMES_BYTES))
    wanted = columns_of(meta, names)
    width = meta.columns if wanted is None else len(wanted)
    chunks: list[tuple[Cursor, NDArray[np.int64]]] = []
    total = 0
    for body in bodies:
        first, count = body.varint(), body.varint(MAX_TILE_STEPS)
        if first != total and step_range is None and not recover:
            raise body.corrupt("rows are missing before this chunk")
        total += count
        if total * (width * meta.dtype.itemsize + 8) > max_bytes:
            raise BadArgument(f"the decoded series is above max_bytes={max_bytes}")
        chunks.append((body, load_steps(body, count)))
    at = np.concatenate([steps for _, steps in chunks]) if chunks else np.zeros(0, np.int64)
    columns = np.empty((width, total), meta.dtype)
    place = 0
    for body, steps in chunks:
        decode_rows(body, columns[:, place : place + len(steps)], meta, wanted)
        place += len(steps)
    if step_range is not None:
        keep = (at >= step_range[0]) & (at < step_range[1])
        at, columns = at[keep], columns[:, keep]
    kept = meta.names if names is None else list(names)
    return Series(columns.T, kept, at, meta.rel_error, meta.abs_error)


def open_series(
    view: memoryview, recover: bool, step_range: tuple[int, int] | None, most: int = MAX_NAMES_BYTES
) -> tuple[Meta, Iterable[Cursor]]:
    """What holds for the series, and its data chunks one by one, less those that the table says are outside the
    steps. most: bytes that the names may have."""
    if recover:
        found = container.scan(view)
        frames = ((kind, body) for kind, body in found if container.known(kind, body.at))
    else:
        frames = (
            (chunk.kind, container.payload(view, chunk))
            for chunk in container.read_table(view)
            if container.known(chunk.kind, chunk.offset)
            and not (step_range is not None and chunk.kind == container.DATA and outside(chunk, step_range))
        )
    kind, body = next(iter(frames), (0, Cursor(b"")))
    if kind != container.META:
        raise Corrupt("a series begins with what holds for all of it", container.HEADER.size)
    return load_meta(body, most), data_only(frames)


def outside(chunk: container.Chunk, step_range: tuple[int, int]) -> bool:
    return chunk.low >= step_range[1] or chunk.low + chunk.span < step_range[0]


def data_only(frames: Iterable[tuple[int, Cursor]]) -> Iterator[Cursor]:
    for kind, body in frames:
        if kind != container.DATA:
            raise body.corrupt("a second description of the series")
        yield body


def columns_of(meta: Meta, names: Sequence[str] | None) -> NDArray[np.intp] | None:
    if names is None:
        return None
    place = {name: j for j, name in enumerate(meta.names or [])}
    missing = [name for name in names if name not in place]
    if missing:
        raise BadArgument(f"no series is called {missing[0]!r}" + ("" if meta.names else ": the columns have no names"))
    return np.array([place[name] for name in names], np.intp)


def decode_rows(body: Cursor, out: NDArray[Any], meta: Meta, wanted: NDArray[np.intp] | None) -> None:
    """Writes the samples of a data chunk to out (columns, steps): all columns, or those wanted, in the order wanted."""
    for j in range(0, meta.columns, TILE_COLUMNS):
        width = min(TILE_COLUMNS, meta.columns - j)
        part = body.part()
        if wanted is None:
            tile.decode(part, out[j : j + width])
            continue
        inside = np.flatnonzero((wanted >= j) & (wanted < j + width))
        if len(inside):
            some = np.empty((width, out.shape[1]), out.dtype)
            tile.decode(part, some, wanted[inside] - j)
            out[inside] = some[wanted[inside] - j]
    body.done()

"""Sparse tensors: where the non-zeros are, and their values as one series. FORMAT.md, section 9."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from . import container, series, streams, tile
from .errors import BadArgument, Corrupt
from .limits import MAX_BYTES, TILE_SAMPLES
from .varint import Cursor, section, varint

MAX_RANK = 32
PATTERN = 0  # dtype code of a tensor without values
FULL, GAPS, BITMAP = 0, 1, 2  # how positions are stored
CODES = {dtype: code for code, dtype in series.DTYPES.items() if dtype.kind == "f"}


@dataclass(frozen=True)
class Coo:
    """A tensor by coordinates. index: int64, positions in C order of the shape, rising. values: None for a pattern."""

    shape: tuple[int, ...]
    index: NDArray[np.int64]
    values: NDArray[Any] | None

    @classmethod
    def of(cls, array: NDArray[Any]) -> Coo:
        """The non-zeros of an array; minus zero counts as one. A bool array is a pattern."""
        flat = np.ascontiguousarray(array).reshape(-1)
        if flat.dtype == bool:
            return cls(array.shape, np.flatnonzero(flat), None)
        index = np.flatnonzero(flat.view(f"u{flat.itemsize}") != 0)
        return cls(array.shape, index, flat[index])

    def dense(self) -> NDArray[Any]:
        """The array; bool for a pattern."""
        flat = np.zeros(math.prod(self.shape), bool if self.values is None else self.values.dtype)
        flat[self.index] = True if self.values is None else self.values
        return flat.reshape(self.shape)


def encode_sparse(tensor: NDArray[Any] | Coo, *, rel_error: float | None = None) -> bytes:
    """A container of one tensor of any rank: float16, float32, float64 (bfloat16 as float32), or bool for a pattern.

    Lossless, or every finite value within rel_error. Cost grows with the non-zeros; a full tensor costs what its
    values cost.
    Raises BadArgument.
    """
    array = None
    if not isinstance(tensor, Coo):
        array = np.asarray(tensor)
        if array.dtype.name == "bfloat16":
            array = array.astype(np.float32)
        tensor = Coo.of(array)
    check(tensor)
    values = tensor.values
    if values is not None:
        values = series.check(values, None, rel_error, None)[0][:, 0]
    shape = tensor.shape
    axis = len(shape) - 1
    index = tensor.index
    # Neurons that are mostly silent make runs along another axis than the last: the axis that saves most comes last.
    if len(shape) > 1 and 0 < len(index) < math.prod(shape):
        axis = best_axis(shape, index)
        if axis != len(shape) - 1 and array is not None and values is not None:
            moved = Coo.of(np.moveaxis(array, axis, -1).astype(values.dtype, copy=False))
            index, values = moved.index, moved.values
        elif axis != len(shape) - 1:
            index, values = reorder(move(shape, index, axis), values, math.prod(shape))
    code = PATTERN if values is None else CODES[values.dtype]
    out = bytearray((code,)) + varint(len(shape)) + b"".join(map(varint, shape)) + varint(len(index))
    out += bytes((axis if shape else 0,)) + positions(index, math.prod(shape))
    if values is not None:
        for first in range(0, len(values), TILE_SAMPLES):
            out += section(tile.encode(values[first : first + TILE_SAMPLES, None], rel_error))
    return container.pack(container.SPARSE, [(container.DATA, bytes(out), len(index), 0, 0)])


def check(tensor: Coo) -> None:
    if len(tensor.shape) > MAX_RANK or math.prod(tensor.shape) >= 1 << 62:
        raise BadArgument(f"at most {MAX_RANK} dimensions and 2**62 elements, not {tensor.shape}")
    index = tensor.index
    if (
        index.ndim != 1
        or index.dtype.kind not in "iu"
        or (tensor.values is not None and tensor.values.shape != index.shape)
    ):
        raise BadArgument("index is one integer for each value")
    if len(index) and (
        int(index[0]) < 0 or int(index[-1]) >= math.prod(tensor.shape) or bool((np.diff(index) <= 0).any())
    ):
        raise BadArgument("the index rises, from 0 to below the number of elements")
    if tensor.values is not None and tensor.values.dtype.newbyteorder("=") not in CODES:
        raise BadArgument(f"dtype {tensor.values.dtype} is not one of float16, float32, float64, bool")


def move(shape: tuple[int, ...], index: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Positions after `axis` has become the last."""
    inner = math.prod(shape[axis + 1 :])
    outer, rest = np.divmod(index, shape[axis] * inner)
    at, within = np.divmod(rest, inner)
    moved: NDArray[np.int64] = (outer * inner + within) * shape[axis] + at
    return moved


def move_back(shape: tuple[int, ...], index: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Undoes `move`."""
    inner = math.prod(shape[axis + 1 :])
    row, at = np.divmod(index, shape[axis])
    outer, within = np.divmod(row, inner)
    moved: NDArray[np.int64] = (outer * shape[axis] + at) * inner + within
    return moved


def reorder(
    index: NDArray[np.int64], values: NDArray[Any] | None, total: int
) -> tuple[NDArray[np.int64], NDArray[Any] | None]:
    """Both in rising order of the index; through an array where that is cheaper than to sort."""
    if total > 64 * len(index):
        order = np.argsort(index, kind="stable")
        return index[order], None if values is None else values[order]
    there = np.zeros(total, bool)
    there[index] = True
    if values is not None:
        array = np.empty(total, values.dtype)
        array[index] = values
        values = array[there]
    return np.flatnonzero(there), values


def best_axis(shape: tuple[int, ...], index: NDArray[np.int64]) -> int:
    """The axis along which neighbours are most alike, judged on a part of the tensor: the last one, or the one
    before."""
    last = len(shape) - 1
    sizes = []
    middle = max(len(index) // 2 - (1 << 15), 0)
    part = index[middle : middle + (1 << 16)]
    for axis in (last, last - 1):
        moved = part if axis == last else np.sort(move(shape, part, axis))
        sizes.append(len(streams.entropy_code(np.diff(moved), streams.RESIDUALS)))
    return last - 1 if sizes[1] < 0.98 * sizes[0] else last


def positions(index: NDArray[np.int64], total: int) -> bytes:
    """All of them, gaps between them, or a bit for each element: whatever is smallest."""
    if len(index) == total:
        return bytes((FULL,))
    gaps = np.diff(index, prepend=-1) - 1
    if len(gaps) == 0 or int(gaps.max()) < 1 << 32:
        gaps = gaps.astype(np.uint32)
    coded = streams.entropy_code(gaps) if gaps.dtype == np.uint32 else streams.entropy_code(gaps.astype(np.uint64))
    gaps_bytes = bytes((GAPS, gaps.itemsize)) + section(coded)
    if total > 64 * len(index):
        return gaps_bytes
    bits = np.zeros(total, bool)
    bits[index] = True
    bitmap = bytes((BITMAP,)) + section(zstandard.compress(np.packbits(bits).tobytes(), 3))
    return min(gaps_bytes, bitmap, key=len)


def decode_sparse(data: bytes | memoryview, *, coo: bool = False, max_bytes: int = MAX_BYTES) -> Any:
    """The tensor as an array (bool for a pattern), or as a Coo.

    Raises Corrupt, Truncated, TooNew, and BadArgument if the result would be above max_bytes (coo=True needs less).
    """
    view = memoryview(data)
    if container.open_header(view) != container.SPARSE:
        raise BadArgument("the container holds no sparse tensor")
    chunks = [c for c in container.read_table(view) if container.known(c.kind, c.offset)]
    if len(chunks) != 1 or chunks[0].kind != container.DATA:
        raise Corrupt("a sparse container has one data chunk", container.HEADER.size)
    cursor = container.payload(view, chunks[0])
    code = cursor.u8()
    if code != PATTERN and series.DTYPES.get(code) not in CODES:
        raise cursor.corrupt(f"unknown dtype {code}")
    dtype = series.DTYPES.get(code)
    shape = tuple(cursor.varint(1 << 62) for _ in range(cursor.varint(MAX_RANK)))
    total = math.prod(shape)
    if total >= 1 << 62:
        raise cursor.corrupt("more than 2**62 elements")
    count = cursor.varint(total)
    axis = cursor.u8()
    if axis >= max(len(shape), 1):
        raise cursor.corrupt("an axis that the tensor does not have")
    size = dtype.itemsize if dtype else 1
    if count * (8 + size) + (0 if coo else total * size) > max_bytes:
        raise BadArgument(f"the decoded tensor is above max_bytes={max_bytes}; coo=True gives coordinates")
    index = read_positions(cursor, count, total)
    values = None
    if dtype is not None:
        values = np.empty(count, dtype)
        for first in range(0, count, TILE_SAMPLES):
            tile.decode(cursor.part(), values[None, first : first + TILE_SAMPLES])
    cursor.done()
    if shape and axis != len(shape) - 1:
        if not coo:
            moved = Coo((*shape[:axis], *shape[axis + 1 :], shape[axis]), index, values).dense()
            return np.ascontiguousarray(np.moveaxis(moved, -1, axis))
        index, values = reorder(move_back(shape, index, axis), values, total)
    tensor = Coo(shape, index, values)
    return tensor if coo else tensor.dense()


def read_positions(cursor: Cursor, count: int, total: int) -> NDArray[np.int64]:
    kind = cursor.u8()
    if kind == FULL and count == total:
        return np.arange(total, dtype=np.int64)
    if kind == GAPS:
        size = cursor.u8()
        if size not in (4, 8):
            raise cursor.corrupt(f"gaps of {size} bytes")
        gaps = streams.entropy_decode(cursor.part(), count, np.dtype(f"u{size}"))
        if size == 8 and count and int(gaps.max()) >= total:
            raise cursor.corrupt("a position outside the tensor")
        index = np.cumsum(gaps, dtype=np.int64)
        index += np.arange(count)
        if count and (int(index[-1]) >= total or bool((np.diff(index) <= 0).any())):
            raise cursor.corrupt("a position outside the tensor")
        return index
    if kind == BITMAP and total <= 64 * max(count, 1):
        packed = np.frombuffer(streams.expand(cursor.part(), -(-total // 8)), np.uint8)
        index = np.flatnonzero(np.unpackbits(packed, count=total))
        if len(index) != count:
            raise cursor.corrupt(f"bitmap of {len(index)} positions where {count} are due")
        return index
    raise cursor.corrupt(f"unknown kind of positions {kind}")

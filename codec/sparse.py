"""Sparse tensors: where the non-zeros are, and their values as one series. FORMAT.md, section 9."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import container, positions, series, streams, tile
from .backend import backend
from .errors import BadArgument, Corrupt
from .limits import MAX_BYTES, TILE_SAMPLES
from .varint import section, varint

MAX_RANK = 32
SAMPLE = 1 << 14  # entries on which the axis is chosen
WRONG_BITMAP = "a bitmap has not as many positions as there are entries, or some outside the tensor"
PATTERN = 0  # dtype code of a tensor without values
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
    if isinstance(tensor, Coo):
        check(tensor.shape, tensor.index, tensor.values)
        shape, values, total = tensor.shape, tensor.values, math.prod(tensor.shape)
        index = tensor.index.astype(np.int64, copy=False)  # of narrower ones the products would not fit
        axis = best_axis(shape, middle(index, len(index), total))
        if axis != len(shape) - 1:
            index, values = reorder(move(shape, index, axis), values, total)
        coded, count = positions.encode(index, total), len(index)
    else:
        array = np.asarray(tensor)
        array = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
        check(array.shape, None, None if array.dtype == bool else array)
        there = nonzero(array)
        shape, total, count = array.shape, there.size, int(np.count_nonzero(there))
        axis = best_axis(shape, middle(there.reshape(-1), count, total))
        array = np.ascontiguousarray(array).reshape(shape)
        moved = there if axis == len(shape) - 1 else np.ascontiguousarray(np.moveaxis(there, axis, -1))
        packed = np.packbits(moved)
        coded = positions.encode(moved.reshape(-1), total)
        values = None
        if array.dtype != bool:
            values = np.empty(count, array.dtype)
            bits = f"u{array.itemsize}"
            size, inner = (shape[axis], math.prod(shape[axis + 1 :])) if shape else (1, 1)
            backend().collect(packed, array.view(bits).reshape(-1), values.view(bits), size, inner)
    if values is not None:
        values = series.check(values, None, rel_error, None)[0][:, 0]
    code = PATTERN if values is None else CODES[values.dtype]
    out = bytearray((code,)) + varint(len(shape)) + b"".join(map(varint, shape)) + varint(count)
    out += bytes((axis if shape else 0,)) + coded
    if values is not None:
        for first in range(0, len(values), TILE_SAMPLES):
            out += section(tile.encode(values[first : first + TILE_SAMPLES, None], rel_error))
    return container.pack(container.SPARSE, [(container.DATA, bytes(out), count, 0, 0)])


def nonzero(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the bits are not all zero, as a contiguous array: minus zero is an entry."""
    whole = np.ascontiguousarray(array).reshape(array.shape)
    there: NDArray[np.bool_] = whole if whole.dtype == bool else whole.view(f"u{whole.itemsize}") != 0
    return there


def check(shape: tuple[int, ...], index: NDArray[Any] | None, values: NDArray[Any] | None) -> None:
    if len(shape) > MAX_RANK or math.prod(shape) >= 1 << 62:
        raise BadArgument(f"at most {MAX_RANK} dimensions and 2**62 elements, not {shape}")
    if values is not None and values.dtype.newbyteorder("=") not in CODES:
        raise BadArgument(f"dtype {values.dtype} is not one of float16, float32, float64, bool")
    if index is None:
        return
    if index.ndim != 1 or index.dtype.kind not in "iu" or (values is not None and values.shape != index.shape):
        raise BadArgument("index is one integer for each value")
    if len(index) and (
        int(index[0]) < 0 or int(index[-1]) >= math.prod(shape) or bool((index[1:] <= index[:-1]).any())
    ):
        raise BadArgument("the index rises, from 0 to below the number of elements")


def middle(entries: NDArray[Any], count: int, total: int) -> NDArray[np.int64]:
    """Positions of about SAMPLE entries around the middle of the tensor. entries: a bool for each element, or positions."""
    if count in (0, total):
        return np.zeros(0, np.int64)
    half = -(-SAMPLE * total // (2 * count))
    first, stop = max(total // 2 - half, 0), min(total // 2 + half, total)
    if entries.dtype == bool:
        return np.flatnonzero(entries[first:stop]) + first
    return entries[slice(*np.searchsorted(entries, [first, stop]))].astype(np.int64)


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


def best_axis(shape: tuple[int, ...], part: NDArray[np.int64]) -> int:
    """The axis along which neighbours are most alike, judged on some positions: the last one, or the one before."""
    last = len(shape) - 1
    if last < 1 or len(part) < 2:
        return last
    sizes = []
    for axis in (last, last - 1):
        moved = part if axis == last else np.sort(move(shape, part, axis))
        sizes.append(len(streams.entropy_code(np.diff(moved), streams.RESIDUALS)))
    return last - 1 if sizes[1] < 0.98 * sizes[0] else last


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
    found = positions.decode(cursor, count, total)
    values = None
    if dtype is not None:
        values = np.empty(count, dtype)
        for first in range(0, count, TILE_SAMPLES):
            tile.decode(cursor.part(), values[None, first : first + TILE_SAMPLES])
    cursor.done()
    if shape and not coo and values is not None and found is not None and found.dtype == np.uint8:
        out = np.zeros(shape, values.dtype)
        bits = f"u{out.itemsize}"
        if not backend().fill(
            found, values.view(bits), out.view(bits).reshape(-1), shape[axis], math.prod(shape[axis + 1 :])
        ):
            raise cursor.corrupt(WRONG_BITMAP)
        return out
    index = positions.index_of(found, count, total)
    if index is None:
        raise cursor.corrupt(WRONG_BITMAP)
    last = max(len(shape) - 1, 0)
    if not coo:
        moved = Coo((*shape[:axis], *shape[axis + 1 :], *shape[axis : axis + 1]), index, values).dense()
        return moved if axis == last else np.ascontiguousarray(np.moveaxis(moved, -1, axis))
    if axis != last:
        index, values = reorder(move_back(shape, index, axis), values, total)
    return Coo(shape, index, values)

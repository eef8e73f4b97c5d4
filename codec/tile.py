"""A tile: some steps of some columns, coded for itself. FORMAT.md, section 5."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from . import entropy, exceptions, plan, streams
from .backend import Latents, Mask, backend
from .latents import BITS, LINEAR, LOG, Mapping, absolute, grid, lossless, relative, restore_bits, table, word
from .limits import BLOCK, MAX_TILE_COLUMNS, MAX_TILE_SAMPLES, MAX_TILE_STEPS
from .varint import Cursor, section, signed, varint

PLAIN = 0  # coding: pcodec as it comes
SAMPLE = 512  # steps of two columns on which the prediction is compared; sixteen times as many of few columns


def encode(values: NDArray[Any], rel_error: float | None = None, abs_error: float | None = None) -> bytes:
    """values: (steps, columns), C-contiguous, float16, float32, float64 or int64."""
    steps, columns = values.shape
    dtype = values.dtype
    head = varint(steps) + varint(columns)
    if values.size == 0:
        return head
    x, mask, mapping, negative = to_latents(values, rel_error, abs_error)
    some = [0, columns - 1][: min(columns, 2)]
    few = slice(0, SAMPLE if columns > 4 else 16 * SAMPLE)
    sample = x[some, few]
    predictors, r, classes = plan.fit(x, mask, mapping.low, mapping.high)
    predicted = len(streams.entropy_code(np.ascontiguousarray(r[some, few]).ravel()))
    if mapping.coding == BITS:
        # pcodec's own modes (decimals, multiples, differences) may beat the prediction.
        plain = streams.entropy_code(np.ascontiguousarray(values[few, some].T).ravel(), streams.ANY)
        if len(plain) < 0.99 * predicted:
            every = streams.entropy_code(np.ascontiguousarray(values.T).ravel(), streams.ANY)
            return head + bytes((PLAIN,)) + section(every)
    elif len(streams.entropy_code(sample.ravel())) < 0.97 * predicted:
        # A few values that come again and again: a prediction would blur them.
        x, mask, mapping, negative = to_latents(values, rel_error, abs_error)
        predictors, r, classes = plan.fit(x, mask, mapping.low, mapping.high, plan.STILL)
    codes, sizes = streams.assign(classes, steps)
    out = bytearray(head + bytes((mapping.coding,)) + signed(mapping.low) + varint(mapping.high - mapping.low))
    if mapping.coding == BITS:
        out += bytes((mapping.shift,))
    else:
        out += struct.pack("<d", mapping.step)
    if mapping.coding == LOG:
        out += struct.pack("<d", mapping.offset)
        signs = np.packbits(np.signbit(values).T).tobytes() if negative else b""
        out += section(zstandard.compress(signs, 9) if negative else b"")
    words = values.view(word(dtype)).T if mask is not None else values[:0].T
    out += section(exceptions.dump(mask, words))
    out += section(zstandard.compress(plan.dump(predictors), 12))
    out += section(streams.entropy_code(codes.ravel().astype(np.uint16), streams.ANY))
    out += varint(len(sizes))
    return bytes(out) + entropy.encode(backend().split(r, codes, sizes))


def to_latents(
    values: NDArray[Any], rel_error: float | None, abs_error: float | None
) -> tuple[Latents, Mask, Mapping, bool]:
    """Latents, marked samples, their mapping, and whether the signs are apart: under the bound if the dtype can keep it."""
    if values.dtype.kind == "f" and rel_error is not None:
        kept = relative(values, rel_error)
        if kept:
            return kept
    elif values.dtype.kind == "f" and abs_error is not None:
        found = absolute(values, abs_error)
        if found:
            return (*found, False)
    return (*lossless(values), False)


def shape(cursor: Cursor) -> tuple[int, int]:
    """(steps, columns) at the head of a tile, within the limits."""
    steps = cursor.varint(MAX_TILE_STEPS)
    columns = cursor.varint(MAX_TILE_COLUMNS)
    if steps * columns > MAX_TILE_SAMPLES:
        raise cursor.corrupt(f"tile of {steps * columns} samples, {MAX_TILE_SAMPLES} are allowed")
    return steps, columns


def decode(cursor: Cursor, out: NDArray[Any], wanted: NDArray[np.intp] | None = None) -> None:
    """Writes the samples of the tile at the cursor to out (columns, steps), whose rows are contiguous.

    Raises Corrupt if the tile has another shape. Columns that are not wanted hold anything.
    """
    columns, steps = out.shape
    if shape(cursor) != (steps, columns):
        raise cursor.corrupt(f"the tile is not of {steps} steps and {columns} columns")
    dtype = out.dtype
    if out.size == 0:
        return cursor.done()
    coding = cursor.u8()
    if coding == PLAIN:
        coded = cursor.part()
        cursor.done()
        out[...] = streams.entropy_decode(coded, out.size, dtype).reshape(out.shape)
        return None
    mapping = read_mapping(cursor, coding, dtype)
    signs = cursor.part() if coding == LOG else None
    mask, aside = exceptions.load(cursor.part(), (columns, steps), word(dtype))
    latent = np.dtype(np.int64 if coding == BITS and dtype.itemsize == 8 else np.int32)
    predictors = plan.load(cursor, columns, latent)
    blocks = -(-steps // BLOCK)
    numbers = streams.entropy_decode(cursor.part(), columns * blocks, np.dtype(np.uint16)).reshape(columns, blocks)
    count = cursor.varint(streams.MAX_STREAMS)
    if int(numbers.max()) > count:
        raise cursor.corrupt("a block is in a stream that is not there")
    codes = numbers.astype(np.uint8)
    sizes = streams.lengths(codes, steps, count)
    residuals = entropy.decode(cursor, sizes, latent)
    cursor.done()
    needed = np.ones(columns, np.uint8) if wanted is None else predictors.closure(wanted)
    values = table(mapping, out.size, dtype)
    direct = values is not None or (coding == BITS and dtype.itemsize == latent.itemsize)
    x = (out if values is not None else out.view(latent)) if direct else np.empty(out.shape, latent)
    inside = backend().join(
        residuals, sizes, codes, predictors.kinds, predictors.firsts, predictors.starts, predictors.columns,
        predictors.floats(), mask, needed, values, mapping.low, mapping.high, x,
    )  # fmt: skip
    if not inside:
        raise cursor.corrupt("samples outside the range that the tile states")
    if coding == BITS:
        x = restore_bits(x, mapping, dtype)
    elif values is None:
        x = grid(x, mapping, dtype)
    if not direct:
        out[...] = x
    if signs is not None and signs.left():
        packed = np.frombuffer(streams.expand(signs, -(-out.size // 8)), np.uint8)
        np.negative(out, out=out, where=np.unpackbits(packed, count=out.size).view(bool).reshape(out.shape))
    if mask is not None:
        out.view(word(dtype))[mask.view(bool)] = aside
    return None


def read_mapping(cursor: Cursor, coding: int, dtype: np.dtype[Any]) -> Mapping:
    if coding not in (BITS, LOG, LINEAR) or (coding != BITS and dtype.kind != "f"):
        raise cursor.corrupt(f"unknown coding {coding} of a tile")
    width = 64 if coding == BITS and dtype.itemsize == 8 else 32
    low = cursor.signed()
    high = low + cursor.varint()
    if low < -(2 ** (width - 1)) or high >= 2 ** (width - 1):
        raise cursor.corrupt(f"latents of more than {width} bits")
    if coding == BITS:
        shift = cursor.u8()
        if shift >= width or (dtype.itemsize == 2 and shift < 16):
            raise cursor.corrupt(f"shift by {shift} bits")
        return Mapping(coding, low, high, shift)
    step = cursor.f64()
    offset = cursor.f64() if coding == LOG else 0.0
    if not (0 < step < math.inf and abs(offset) < 64):
        raise cursor.corrupt("step or offset that is no number, or out of range")
    return Mapping(coding, low, high, 0, step, offset)

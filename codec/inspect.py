"""What is in a container, without its samples: chunks, sizes, predictors, bytes a sample of each series."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import bundle, container, entropy, plan, series, streams, tile
from .errors import BadArgument
from .latents import BITS, LINEAR, LOG
from .limits import BLOCK, MAX_BYTES, MAX_NAMES_BYTES, MAX_TILE_STEPS, TILE_COLUMNS
from .reference.prediction import TREND
from .varint import Cursor

COLUMN = 1000  # bytes that what is said of a series takes
CODINGS = {tile.PLAIN: "plain", BITS: "bits", LOG: "log", LINEAR: "linear"}


def describe(data: bytes | memoryview, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Content, bytes and chunks of a container; of series also the bound, and for each name predictors and
    bytes; of a bundle its parts.

    Bytes of a series are those of its residuals, of a stream in proportion to its samples; what all names share is in
    the chunk. Raises Corrupt, Truncated, TooNew, BadArgument (max_bytes).
    """
    view = memoryview(data)
    content = container.open_header(view)
    chunks = container.read_table(view)
    names = {container.TABLE: "table", container.META: "meta", container.DATA: "data"}
    found: dict[str, Any] = {"content": container.CONTENT.get(content, str(content)), "bytes": len(view)}
    listed = [
        {"kind": names.get(c.kind, str(c.kind)), "offset": c.offset, "bytes": c.size, "things": c.count, "from": c.low,
         "to": c.low + c.span}
        for c in chunks
    ]  # fmt: skip
    if content == container.SERIES:
        found |= of_series(view, max_bytes)
    if content == container.BUNDLE:
        found["parts"] = [of_part(*part, max_bytes) for part in bundle.decode_bundle(view)]
    return found | {"chunks": listed}


def of_part(labels: dict[str, str], data: memoryview, max_bytes: int) -> dict[str, Any]:
    """A part of a bundle: what its labels say, its bytes and, of series, dtype, names, steps and bound."""
    content = container.open_header(data)
    told: dict[str, Any] = {"content": container.CONTENT.get(content, str(content)), "bytes": len(data)}
    if content == container.SERIES:
        meta, bodies = series.open_series(data, False, None, min(max_bytes, MAX_NAMES_BYTES))
        told |= of_meta(meta, sum(extent(body) for body in bodies))
    else:
        container.read_table(data)  # for whether it is whole
    return {"labels": labels} | {key: value for key, value in told.items() if value is not None}


def of_meta(meta: series.Meta, steps: int) -> dict[str, Any]:
    return {
        "dtype": meta.dtype.name, "names": meta.columns, "steps": steps, "rel_error": meta.rel_error,
        "abs_error": meta.abs_error,
    }  # fmt: skip


def extent(body: Cursor) -> int:
    """Rows of a data chunk; the cursor moves to its steps."""
    body.varint()
    return body.varint(MAX_TILE_STEPS)


def of_series(view: memoryview, max_bytes: int) -> dict[str, Any]:
    meta, bodies = series.open_series(view, False, None, min(max_bytes, MAX_NAMES_BYTES))
    if COLUMN * meta.columns > max_bytes:
        raise BadArgument(f"what there is to say of {meta.columns} series is above max_bytes={max_bytes}")
    size = np.zeros(meta.columns)
    codings: list[set[str]] = [set() for _ in range(meta.columns)]
    steps = 0
    for body in bodies:
        count = extent(body)
        series.load_steps(body, count)
        steps += count
        for j in range(0, meta.columns, TILE_COLUMNS):
            part = slice(j, j + TILE_COLUMNS)
            add_tile(body.part(), count, meta.dtype, size[part], codings[part])
    return of_meta(meta, steps) | {
        "bytes_per_sample": len(view) / max(steps * meta.columns, 1),
        "series": [
            {
                "name": meta.names[j] if meta.names else str(j),
                "bytes_per_sample": size[j] / max(steps, 1),
                "predictors": ", ".join(sorted(codings[j])),
            }
            for j in range(meta.columns)
        ],
    }


def add_tile(
    cursor: Cursor, steps: int, dtype: np.dtype[Any], size: NDArray[np.float64], codings: list[set[str]]
) -> None:
    """Adds the bytes of each column of a tile to size, and how it was coded."""
    columns = len(codings)
    if tile.shape(cursor) != (steps, columns):
        raise cursor.corrupt(f"the tile is not of {steps} steps and {columns} columns")
    if steps * columns == 0:
        return
    coding = cursor.u8()
    if coding == tile.PLAIN:
        size += cursor.left() / columns
        for told in codings:
            told.add("plain")
        return
    tile.read_mapping(cursor, coding, dtype)
    if coding == LOG:
        cursor.section()
    cursor.section()
    latent = np.dtype(np.int64 if coding == BITS and dtype.itemsize == 8 else np.int32)
    predictors = plan.load(cursor, columns, latent)
    blocks = -(-steps // BLOCK)
    codes = streams.entropy_decode(cursor.part(), columns * blocks, np.dtype(np.uint16)).reshape(columns, blocks)
    lengths = np.minimum(BLOCK, steps - BLOCK * np.arange(blocks))
    count = cursor.varint(streams.MAX_STREAMS)
    if int(codes.max()) > count:
        raise cursor.corrupt("a block is in a stream that is not there")
    if count:
        # The streams share their words: each column pays by what the models of its blocks say of a residual.
        _, raw = entropy.read_models(cursor, count)
        try:
            bits = np.append(0.0, entropy.load(raw, count, 8 * latent.itemsize).bits())
        except ValueError as wrong:
            raise cursor.corrupt(f"the models of the streams are not right: {wrong}") from None
        told_bits = (bits[codes] * lengths).sum(1)
        size += cursor.left() * told_bits / max(float(told_bits.sum()), 1e-9)
    for j, told in enumerate(codings):
        kind = int(predictors.kinds[j])
        past = "trend" if kind == TREND else "last" if kind == 0 else f"average 1/{1 << kind}"
        others = int(predictors.starts[j + 1] - predictors.starts[j])
        told.add(f"{CODINGS[coding]}: {past}" + (f" + {others} others" if others else ""))

"""What is in a container, without its samples: chunks, sizes, predictors, bytes a sample of each series."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import bundle, container, entropy, plan, series, streams, tile
from .latents import BITS, LINEAR, LOG
from .limits import BLOCK, TILE_COLUMNS
from .reference.prediction import TREND
from .varint import Cursor

CODINGS = {tile.PLAIN: "plain", BITS: "bits", LOG: "log", LINEAR: "linear"}


def describe(data: bytes | memoryview) -> dict[str, Any]:
    """Content, bytes and chunks of a container; of series also the bound, and for each name predictors and
    bytes; of a bundle its parts.

    Bytes of a series are those of its residuals, of a stream in proportion to its samples; what all names share is in
    the chunk. Raises Corrupt, Truncated, TooNew.
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
        found |= of_series(view)
    if content == container.BUNDLE:
        found["parts"] = [of_part(labels, data) for labels, data in bundle.decode_bundle(view)]
    return found | {"chunks": listed}


def of_part(labels: dict[str, str], data: memoryview) -> dict[str, Any]:
    """A part of a bundle: what its labels say, its bytes and, of series, dtype, names, steps and bound."""
    inner = describe(data)
    told = ("content", "bytes", "dtype", "names", "steps", "rel_error", "abs_error")
    return {"labels": labels} | {key: inner[key] for key in told if inner.get(key) is not None}


def of_series(view: memoryview) -> dict[str, Any]:
    meta, bodies = series.open_series(view, False, None)
    size = np.zeros(meta.columns)
    codings: list[set[str]] = [set() for _ in range(meta.columns)]
    samples = 0
    for body in bodies:
        body.varint()
        count = body.varint()
        series.load_steps(body, count)
        samples += count * meta.columns
        for j in range(0, meta.columns, TILE_COLUMNS):
            add_tile(body.part(), meta.dtype, size[j : j + TILE_COLUMNS], codings[j : j + TILE_COLUMNS])
    steps = samples // max(meta.columns, 1)
    return {
        "dtype": meta.dtype.name,
        "names": meta.columns,
        "steps": steps,
        "rel_error": meta.rel_error,
        "abs_error": meta.abs_error,
        "bytes_per_sample": len(view) / max(samples, 1),
        "series": [
            {
                "name": meta.names[j] if meta.names else str(j),
                "bytes_per_sample": size[j] / max(steps, 1),
                "predictors": ", ".join(sorted(codings[j])),
            }
            for j in range(meta.columns)
        ],
    }


def add_tile(cursor: Cursor, dtype: np.dtype[Any], size: np.ndarray[Any, Any], codings: list[set[str]]) -> None:
    """Adds the bytes of each column of a tile to size, and how it was coded."""
    steps, columns = tile.shape(cursor)
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
    if count:
        # The streams share their words: each column pays by what the models of its blocks say of a residual.
        _, raw = entropy.read_models(cursor, count)
        bits = np.append(0.0, entropy.load(raw, count).bits())
        told_bits = (bits[codes] * lengths).sum(1)
        size += cursor.left() * told_bits / max(float(told_bits.sum()), 1e-9)
    for j, told in enumerate(codings):
        kind = int(predictors.kinds[j])
        past = "trend" if kind == TREND else "last" if kind == 0 else f"average 1/{1 << kind}"
        others = int(predictors.starts[j + 1] - predictors.starts[j])
        told.add(f"{CODINGS[coding]}: {past}" + (f" + {others} others" if others else ""))

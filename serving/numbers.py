"""Numbers of a job as tables, from the containers that its traces carry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tracewinnow.serving.warehouse import Warehouse
from tracewinnow.transforms.numeric import Numeric, Rows, Spans, Tensors, floats
from tracewinnow.transforms.unpack import unpack

COLUMNS: dict[str, tuple[str, ...]] = {
    "series": ("window_start_ns", "kind", "of", "name", "rank", "step", "time_ns", "value"),
    "spans": ("window_start_ns", "name", "rank", "device", "category", "start_ns", "duration_ns", "time_ns", "error"),
    "sparse": ("window_start_ns", "name", "rank", "step", "time_ns", "index", "value"),
}  # fmt: skip
TEXT = frozenset(("kind", "of", "name", "device", "category", "error"))
Columns = dict[str, Any]


def tables(warehouse: Warehouse, job_id: str, kind: str) -> Iterator[Columns]:
    """Columns of one length, in the order of COLUMNS[kind], some rows at a time: one trace is in memory. Blocks.

    kind: "series" (metrics, statistics of layers, memory), "spans" or "sparse". rank: -1 where unknown. value: float64. Texts are
    lists of str, the rest int64 arrays. Raises the codec's errors where a container is damaged.
    """
    for start, _, container in warehouse.containers(job_id):
        for columns in table(unpack(container), kind):
            count = len(columns["time_ns"])
            yield {"window_start_ns": np.full(count, start, np.int64), **columns}


def table(numeric: Numeric, kind: str) -> Iterator[Columns]:
    """The columns of one container."""
    if kind == "series":
        yield from map(_of_rows, numeric.rows)
    elif kind == "sparse":
        yield from map(_of_tensors, numeric.tensors)
    elif numeric.spans is not None:
        yield _of_spans(numeric.spans)


def _of_rows(rows: Rows) -> Columns:
    count, width = rows.values.shape
    return {
        "kind": [rows.kind] * (count * width),
        "of": [rows.of] * (count * width),
        "name": list(rows.names) * count,
        "rank": np.full(count * width, rows.rank, np.int64),
        "step": np.repeat(rows.steps, width),
        "time_ns": np.repeat(rows.times_ns, width),
        "value": floats(rows.values, rows.dtype).ravel(),
    }


def _of_tensors(one: Tensors) -> Columns:
    return {
        "name": [one.name] * len(one.index),
        "rank": np.repeat(one.ranks, one.counts),
        "step": np.repeat(one.steps, one.counts),
        "time_ns": np.repeat(one.times_ns, one.counts),
        "index": one.index.astype(np.int64),
        "value": floats(one.values, one.dtype),
    }


def _of_spans(spans: Spans) -> Columns:
    tracks = [spans.tracks[place] for place in spans.track.tolist()]
    return {
        "name": [spans.names[place] for place in spans.name.tolist()],
        "rank": np.array([track[0] for track in tracks], np.int64),
        "device": [track[1] for track in tracks],
        "category": [track[2] for track in tracks],
        "start_ns": spans.starts_ns,
        "duration_ns": spans.durations_ns,
        "time_ns": spans.times_ns,
        "error": [track[3] for track in tracks],
    }

"""The container of a trace -> its numeric events, as they were sent; the inverse of `pack`."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tracewinnow.schemas.errors import BadInput
from tracewinnow.transforms.numeric import DTYPES, Numeric, Rows, Spans, Tensors

WIRE = {**dict(DTYPES.values()), "uint64": "<u8"}
# What the codec holds a dtype in; others as they are called. Its tensors are of floats.
IN_SERIES = {"bfloat16": "float32", "int32": "int64", "uint32": "int64", "uint64": "int64"}
IN_TENSORS = {"bfloat16": "float32", "int32": "float32", "uint32": "float32", "int64": "float64"}


def unpack(data: bytes | memoryview, *, max_bytes: int = 1 << 32) -> Numeric:
    """The events of a container; one that is empty holds none. Values under a bound keep the codec's dtype.

    max_bytes: of what a part may become. Raises the codec's errors, and BadInput for a container that no trace has.
    """
    from tracewinnow.codec import decode_bundle

    found = Numeric()
    if not data:
        return found
    groups: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for part in decode_bundle(data):
        groups[part.labels.get("group", "")][part.labels.get("holds", "")] = part
    spans: list[Spans] = []
    for group, parts in groups.items():
        if parts.keys() != {"values", "times"}:
            raise BadInput("not-a-trace", f"group {group!r} of the container has {sorted(parts)}, not values and times")
        values, times, labels = parts["values"].data, parts["times"].data, parts["values"].labels
        kind = labels.get("kind")
        if kind == "spans":
            spans.append(_spans(values, times, max_bytes))
        elif kind == "sparse":
            found.tensors.append(_tensors(labels, values, times, max_bytes))
        elif kind in ("metrics", "layers", "memory"):
            found.rows += _rows(labels, values, times, max_bytes)
    found.spans = _joined(spans)
    found.rows = _merged(found.rows)
    return found


def from_codec(values: npt.NDArray[Any], dtype: str, bounded: bool) -> npt.NDArray[Any]:
    """Numbers of the wire, of what `to_codec` made of them."""
    if bounded and values.dtype.kind == "f":
        return values
    if dtype == "bfloat16":
        return (values.view(np.uint32) >> 16).astype(np.uint16)
    return values.view(np.uint64) if dtype == "uint64" else values.astype(WIRE[dtype])


def _rows(labels: dict[str, str], data: memoryview, times: memoryview, most: int) -> list[Rows]:
    from tracewinnow.codec import decode_series

    series, told = decode_series(data, max_bytes=most), decode_series(times, max_bytes=most)
    dtype = _dtype(labels, series.values.dtype, IN_SERIES)
    ranks = [rank for name in told.names or [] for rank in _ranks(name, 1)]
    if len(told.values) != len(series.values) or told.values.shape[1] != len(ranks):
        raise BadInput("not-a-trace", f"{len(series.values)} rows, times of {len(told.values)} for {told.names}")
    columns: dict[int, dict[str, int]] = {rank: {} for rank in ranks}
    for place, column in enumerate(series.names or []):
        of, _, name = column.partition("/")
        for rank in _ranks(of, len(ranks)):
            if rank not in columns:
                raise BadInput("not-a-trace", f"a column of rank {rank}, which has no times")
            columns[rank][name] = place
    names = (
        tuple(columns[ranks[0]]) if ranks else ()
    )  # in the order of the first rank, of which every column is its own
    if any(own.keys() != columns[ranks[0]].keys() for own in columns.values()):
        raise BadInput("not-a-trace", "the ranks of a part have different names")
    of, bounded = labels.get("statistic", labels.get("device", "")), series.rel_error is not None
    return [
        Rows(
            labels["kind"], of, dtype, rank, names, series.steps, told.values[:, place],
            from_codec(np.ascontiguousarray(series.values[:, [columns[rank][name] for name in names]]), dtype, bounded),
        )
        for place, rank in enumerate(ranks)
    ]  # fmt: skip


def _merged(rows: list[Rows]) -> list[Rows]:
    """Rows that were cut because other ranks had not the same steps, put together again: steps and times ascend."""
    alike: defaultdict[tuple[str, str, str, int, tuple[str, ...]], list[Rows]] = defaultdict(list)
    for one in rows:
        alike[one.kind, one.of, one.dtype, one.rank, one.names].append(one)
    found = []
    for _, parts in sorted(alike.items()):
        if len(parts) > 1:
            steps, times, values = (
                np.concatenate([getattr(p, f) for p in parts]) for f in ("steps", "times_ns", "values")
            )
            order = np.lexsort((steps, times))
            parts = [replace(parts[0], steps=steps[order], times_ns=times[order], values=values[order])]
        found += parts
    return found


def _tensors(labels: dict[str, str], data: memoryview, times: memoryview, most: int) -> Tensors:
    from tracewinnow.codec import decode_series, decode_sparse

    told = decode_series(times, max_bytes=most)
    coo = decode_sparse(data, coo=True, max_bytes=most)
    if told.names != ["rank", "time_ns"] or coo.values is None or coo.shape[:1] != (len(told.steps),):
        raise BadInput("not-a-trace", f"tensors of shape {coo.shape} for {len(told.steps)} steps of {told.names}")
    dtype, (count, *shape) = _dtype(labels, coo.values.dtype, IN_TENSORS), coo.shape
    number, index = np.divmod(coo.index, max(1, int(np.prod(shape, dtype=object))))
    integers = dtype in ("int32", "uint32", "int64")
    values = coo.values.view(WIRE[dtype]) if integers else coo.values
    if dtype == "bfloat16" and not bool((values.view(np.uint32) & 0xFFFF).any()):
        values = from_codec(values, dtype, False)
    return Tensors(
        labels.get("name", ""), dtype, tuple(shape), told.values[:, 0], told.steps, told.values[:, 1],
        np.bincount(number, minlength=count).astype(np.int64), index.astype(np.uint32), values,
    )  # fmt: skip


def _spans(data: memoryview, times: memoryview, most: int) -> Spans:
    from tracewinnow.codec import decode_series, decode_spans

    listed, told = decode_spans(data, max_bytes=most), decode_series(times, max_bytes=most)
    if told.values.shape != (len(listed), 1):
        raise BadInput("not-a-trace", f"{len(listed)} spans for {told.values.shape} times")
    names = {name: place for place, name in enumerate(dict.fromkeys(span.name for span in listed))}
    tracks = {track: place for place, track in enumerate(dict.fromkeys(span.track for span in listed))}
    rows = [(names[s.name], tracks[s.track], s.start_ns, s.duration_ns, 0) for s in listed]
    columns = np.array(rows, np.int64).reshape(-1, 5).T
    columns[4] = columns[2] + columns[3] + told.values[:, 0]  # int64, wrapping
    return Spans(list(names), [_track(track) for track in tracks], *columns)


def _track(name: str) -> tuple[int, str, str, str]:
    try:
        rank, *words = json.loads(name)
    except (ValueError, TypeError, RecursionError):
        rank, words = -1, [None]
    if not (rank is None or (isinstance(rank, int) and 0 <= rank < 1 << 31)) or not all(
        isinstance(w, str) for w in words
    ):
        raise BadInput("not-a-trace", f"{name[:80]!r} is no track of a trace")
    device, category, error = [*words, "", "", ""][:3]
    return -1 if rank is None else rank, device, category, error


def _joined(some: list[Spans]) -> Spans | None:
    """Spans of several parts, as one."""
    if len(some) < 2:
        return some[0] if some else None
    names: dict[str, int] = {}
    tracks: dict[tuple[int, str, str, str], int] = {}
    columns = []
    for one in some:
        name = np.array([names.setdefault(word, len(names)) for word in one.names], np.int64)[one.name]
        track = np.array([tracks.setdefault(word, len(tracks)) for word in one.tracks], np.int64)[one.track]
        columns.append(np.stack([name, track, one.starts_ns, one.durations_ns, one.times_ns]))
    return Spans(list(names), list(tracks), *np.concatenate(columns, axis=1))


def _ranks(name: str, most: int) -> list[int]:
    """The ranks in the name of a column, see `ranks_name`; at most so many."""
    found: list[int] = []
    for run in name.split(","):
        first, dash, last = run.partition("-")
        if run == "-":
            found.append(-1)
            continue
        last = last if dash else first
        if not all(end.isascii() and end.isdigit() and len(end) < 11 for end in (first, last)):
            raise BadInput("not-a-trace", f"{name[:80]!r} names no ranks")
        if int(last) - int(first) >= most - len(found):
            raise BadInput("not-a-trace", f"{name[:80]!r} names more than {most} ranks")
        found += range(int(first), int(last) + 1)
    return found


def _dtype(labels: dict[str, str], found: np.dtype[Any], stored: dict[str, str]) -> str:
    """The dtype of the wire; `found` is what the codec gave, which must be the one that holds it."""
    dtype = labels.get("dtype", "")
    if dtype not in WIRE or found.name != stored.get(dtype, dtype):
        raise BadInput("not-a-trace", f"a part of dtype {dtype!r} that holds {found.name}")
    return dtype

"""The container of a trace -> its numeric events, as they were sent; the inverse of `pack`."""

from __future__ import annotations

import json
from collections import defaultdict
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
    found.rows.sort(key=lambda one: (one.kind, one.of, one.dtype, one.rank, one.names))
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
    names, ranks = series.names or [], told.names or []
    kind, dtype = labels["kind"], _dtype(labels, series.values.dtype, IN_SERIES)
    width = len(names) // max(1, len(ranks))
    if len(names) != width * len(ranks) or len(told.values) != len(series.values):
        raise BadInput("not-a-trace", f"{len(names)} columns of {len(series.values)} rows for {len(ranks)} ranks")
    of = labels.get("statistic", labels.get("device", ""))
    found = []
    for place, rank in enumerate(ranks):
        columns = slice(place * width, (place + 1) * width)
        own = tuple(name.removeprefix(f"{rank}/") for name in names[columns])
        values = from_codec(np.ascontiguousarray(series.values[:, columns]), dtype, series.rel_error is not None)
        found.append(Rows(kind, of, dtype, _rank(rank), own, series.steps, told.values[:, place], values))
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
    columns[4] = told.values[:, 0]
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


def _rank(name: str) -> int:
    if name != "-" and not (name.isascii() and name.isdigit() and len(name) < 11):
        raise BadInput("not-a-trace", f"{name[:80]!r} is no rank")
    return -1 if name == "-" else int(name)


def _dtype(labels: dict[str, str], found: np.dtype[Any], stored: dict[str, str]) -> str:
    """The dtype of the wire; `found` is what the codec gave, which must be the one that holds it."""
    dtype = labels.get("dtype", "")
    if dtype not in WIRE or found.name != stored.get(dtype, dtype):
        raise BadInput("not-a-trace", f"a part of dtype {dtype!r} that holds {found.name}")
    return dtype

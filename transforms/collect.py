"""Numeric events of batches -> arrays, and the series and summaries that are made of them."""

from __future__ import annotations

import math
import struct
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tracewinnow.schemas.telemetry_pb2 import Event, LayerStats, Memory, Metrics, Span, SparseActivation, Vector
from tracewinnow.transforms.numeric import DTYPES, MEMORY, Numeric, Rows, Spans, Tensors, floats
from tracewinnow.transforms.trace import Series, SpanSummary, SparseSummary

ERRORS_TOLD = 8  # of the spans of a name
MISMATCH = "whose vectors do not fit together"  # refused by validation; here for what was never validated
WIRE = {**dict(DTYPES.values()), "uint64": "<u8"}


class _Row:
    """Rows of one group while the batches are read."""

    __slots__ = ("data", "steps", "times")

    def __init__(self) -> None:
        self.steps, self.times, self.data = array("q"), array("q"), list[bytes]()


class _Tensor(_Row):
    __slots__ = ("counts", "index", "ranks")

    def __init__(self) -> None:
        super().__init__()
        self.ranks, self.counts, self.index = array("q"), array("q"), list[bytes]()


class Collector:
    """Takes the numeric events of a trace one by one, in order of rank, process and sequence. A few operations an event."""

    def __init__(self) -> None:
        self.count = 0
        self._rows: defaultdict[tuple[str, str, str, int, tuple[str, ...]], _Row] = defaultdict(_Row)
        self._tensors: defaultdict[tuple[str, str, tuple[int, ...]], _Tensor] = defaultdict(_Tensor)
        self._names: dict[str, int] = {}
        self._tracks: dict[tuple[int, str, str, str], int] = {}
        self._spans = array("q")  # name, track, start, duration, time of each
        self._left_out: Counter[str] = Counter()

    def add(self, event: Event, kind: str, rank: int) -> None:
        """kind: the name of the event's field. Raises ValueError for a vector of a dtype outside the contract."""
        self.count += 1
        if kind == "metrics":
            self._metrics(event.metrics, rank, event.time_ns)
        elif kind == "layers":
            self._layers(event.layers, rank, event.time_ns)
        elif kind == "memory":
            self._memory(event.memory, rank, event.time_ns)
        elif kind == "span":
            self._span(event.span, rank, event.time_ns)
        elif kind == "sparse":
            self._sparse(event.sparse, rank, event.time_ns)

    def _metrics(self, metrics: Metrics, rank: int, time_ns: int) -> None:
        pairs = [(metric.name, metric.value) for metric in metrics.metrics]
        row = self._rows["metrics", "", "float64", rank, tuple([name for name, _ in pairs])]
        row.steps.append(metrics.step)
        row.times.append(time_ns)
        row.data.append(struct.pack(f"<{len(pairs)}d", *[value for _, value in pairs]))

    def _layers(self, layers: LayerStats, rank: int, time_ns: int) -> None:
        names, vector = tuple(layers.names), layers.values
        dtype, code = _dtype(vector) if names or vector.data else DTYPES[1]
        data, size = vector.data, int(code[2])
        if len(data) != len(names) * size:
            self._left_out[f"layers {MISMATCH}"] += 1
            both = min(len(names), len(data) // size)
            names, data = names[:both], data[: both * size]
        row = self._rows["layers", layers.statistic, dtype, rank, names]
        row.steps.append(layers.step)
        row.times.append(time_ns)
        row.data.append(data)

    def _memory(self, memory: Memory, rank: int, time_ns: int) -> None:
        row = self._rows["memory", memory.device, "uint64", rank, MEMORY]
        row.steps.append(len(row.steps))
        row.times.append(time_ns)
        row.data.append(
            struct.pack("<4Q", memory.used_bytes, memory.reserved_bytes, memory.peak_bytes, memory.limit_bytes)
        )

    def _span(self, span: Span, rank: int, time_ns: int) -> None:
        name = self._names.setdefault(span.name, len(self._names))
        track = self._tracks.setdefault((rank, span.device, span.category, span.error), len(self._tracks))
        self._spans.extend((name, track, span.start_ns, span.duration_ns, time_ns))

    def _sparse(self, sparse: SparseActivation, rank: int, time_ns: int) -> None:
        dtype, code = DTYPES.get(sparse.values.dtype, ("", "<f4"))
        entries = len(sparse.indices.data) // 4
        tensor = self._tensors[sparse.name, dtype, tuple(sparse.shape)]
        tensor.ranks.append(rank)
        tensor.steps.append(sparse.step)
        tensor.times.append(time_ns)
        tensor.counts.append(entries)
        tensor.index.append(sparse.indices.data[: entries * 4])
        tensor.data.append(sparse.values.data)
        if len(sparse.values.data) != entries * int(code[2]):
            self._left_out[f"sparse tensors {MISMATCH}"] += 1
            tensor.data[-1] = bytes(entries * int(code[2]))

    def numeric(self) -> Numeric:
        """All events as arrays; the same whatever the order in which groups were met."""
        rows = [_rows(*key, row) for key, row in sorted(self._rows.items())]
        tensors = [_tensors(*key, tensor) for key, tensor in sorted(self._tensors.items())]
        columns = np.frombuffer(self._spans, np.int64).reshape(-1, 5).T.copy() if self._spans else None
        spans = None if columns is None else Spans(list(self._names), list(self._tracks), *columns)
        return Numeric(rows, tensors, spans, dict(self._left_out))


def _dtype(vector: Vector) -> tuple[str, str]:
    if vector.dtype not in DTYPES:
        raise ValueError(f"vector of unknown dtype {vector.dtype}")
    return DTYPES[vector.dtype]


def _wire(data: list[bytes], dtype: str) -> npt.NDArray[Any]:
    joined = b"".join(data)
    return np.frombuffer(joined, WIRE[dtype]) if joined else np.zeros(0, WIRE[dtype])


def _rows(kind: str, of: str, dtype: str, rank: int, names: tuple[str, ...], row: _Row) -> Rows:
    steps, times = np.array(row.steps, np.int64), np.array(row.times, np.int64)
    values = _wire(row.data, dtype).reshape(len(steps), len(names))
    if len(times) > 1 and bool((times[1:] < times[:-1]).any()):  # a restart: the processes of a rank come in any order
        order = np.argsort(times, kind="stable")
        steps, times, values = steps if kind == "memory" else steps[order], times[order], values[order]
    return Rows(kind, of, dtype, rank, names, steps, times, values)


def _tensors(name: str, dtype: str, shape: tuple[int, ...], tensor: _Tensor) -> Tensors:
    ranks, steps, times, counts = (
        np.array(numbers, np.int64) for numbers in (tensor.ranks, tensor.steps, tensor.times, tensor.counts)
    )
    index, values = _wire(tensor.index, "uint32"), _wire(tensor.data, dtype or "float32")
    return Tensors(name, dtype, shape, ranks, steps, times, counts, index, values)


def series_of(rows: Iterable[Rows]) -> list[Series]:
    """One Series a name, statistic and rank, ascending by these; samples by (step, time)."""
    found: defaultdict[tuple[str, str, int], list[Series]] = defaultdict(list)
    for one in rows:
        order = np.lexsort((one.times_ns, one.steps))
        steps, times = one.steps[order], one.times_ns[order]
        values = np.asfortranarray(floats(one.values[order], one.dtype))
        if one.kind == "memory":
            found[one.of, "memory_used", one.rank].append(
                Series(one.of, "memory_used", one.rank, steps, values[:, 0], times)
            )
            continue
        statistic = "metric" if one.kind == "metrics" else one.of
        for place, name in enumerate(one.names):
            found[name, statistic, one.rank].append(Series(name, statistic, one.rank, steps, values[:, place], times))
    return [members[0] if len(members) == 1 else _joined(members) for _, members in sorted(found.items())]


def _joined(members: list[Series]) -> Series:
    steps, values, times = (np.concatenate([getattr(m, f) for m in members]) for f in ("steps", "values", "times_ns"))
    order = np.lexsort((times, steps))
    first = members[0]
    return Series(first.name, first.statistic, first.rank, steps[order], values[order], times[order])


def spans_of(spans: Spans | None) -> list[SpanSummary]:
    """A summary a name and device, ascending by these."""
    if spans is None:
        return []
    found: dict[tuple[str, str], SpanSummary] = {}
    rows = zip(
        spans.name.tolist(), spans.track.tolist(), spans.starts_ns.tolist(), spans.durations_ns.tolist(), strict=True
    )
    for name, track, start, duration in rows:
        _, device, _, error = spans.tracks[track]
        key = spans.names[name], device
        summary = found.get(key)
        if summary is None:
            summary = found[key] = SpanSummary(*key, 0, 0, -1, 0)
        summary.count += 1
        summary.total_ns += duration
        if duration > summary.longest_ns:
            summary.longest_ns, summary.longest_start_ns = duration, start
        summary.failed += bool(error)
        if error and len(summary.errors) < ERRORS_TOLD:
            summary.errors.append(error)
    return [found[key] for key in sorted(found)]


def sparse_of(tensors: Iterable[Tensors]) -> list[SparseSummary]:
    """A summary a name, ascending; of tensors of several shapes the first and the last one in order of groups."""
    found: dict[str, SparseSummary] = {}
    for one in tensors:
        density: npt.NDArray[np.float64] = one.counts / max(1, math.prod(one.shape))
        first, last = float(density[0]), float(density[-1])
        summary = found.setdefault(one.name, SparseSummary(one.name, 0, first, last))
        summary.count += len(one.counts)
        summary.last_density = last
    return [found[key] for key in sorted(found)]

"""Numeric events -> one container of the codec, a bundle: what a warehouse keeps of them.

A part holds the rows of the ranks that saw the same steps, side by side, so that the codec sees what they share. Its companion
of the same `group` says when each row was recorded. What cannot be held is counted, never dropped unsaid: the archive has it.
"""

from __future__ import annotations

import functools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tracewinnow.schemas.trace_pb2 import Note, PreprocessedTrace
from tracewinnow.transforms.numeric import Numeric, Rows, Spans, Tensors

MAX_GROUPS = 1024  # of a trace; a group costs a millisecond and about 300 bytes, whatever is in it
MAX_NAMES = 1 << 16  # columns of a part: names times ranks
NAME_BYTES = 65_000  # the codec's limit, less what a rank adds
TENSOR_ELEMENTS = 1 << 24  # of the tensors that are stored as one
SPANS = 1 << 16  # of a part
NOTE = 1000  # characters

Parts = list[tuple[dict[str, str], bytes]]


class Packed(NamedTuple):
    """data: the container, empty where there is nothing to hold. events: that it holds. left_out: reason -> events."""

    data: bytes
    events: int
    left_out: dict[str, int]


class _Group(NamedTuple):
    """events: that it stands for; refused: why it cannot be held, or ""; encode: its parts, without labels for the group."""

    events: int
    refused: str
    encode: Callable[[], Parts]


def pack(numeric: Numeric, rel_error: float | None = None) -> Packed:
    """The container of numeric events; deterministic.

    rel_error: bound of every finite float of metrics, layers and tensors; without one every bit is kept. Integers, steps, times
    and memory always are. Needs the codec's packages; raises ImportError, which says what to install, without them.
    """
    from tracewinnow.codec import CodecError, encode_bundle

    parts: Parts = []
    left_out = Counter(numeric.left_out)
    events = groups = 0
    for group in _groups(numeric, rel_error):
        refused = group.refused or (f"in more than {MAX_GROUPS} groups" if groups >= MAX_GROUPS else "")
        if not refused:
            try:
                made = group.encode()
            except CodecError as wrong:
                refused = f"that the codec refused ({wrong.message})"
        if refused:
            left_out[refused] += group.events
            continue
        parts += [({"group": str(groups), **labels}, data) for labels, data in made]
        groups += 1
        events += group.events
    return Packed(encode_bundle(parts) if parts else b"", events, dict(left_out))


def contain(numeric: Numeric, result: PreprocessedTrace, rel_error: float | None) -> None:
    """Put the container into the result, with its bound, and a note about what it does not hold."""
    if not (numeric.rows or numeric.tensors or numeric.spans or numeric.left_out):
        return  # a log: the codec's packages are neither needed nor waited for
    from tracewinnow.codec.container import VERSION

    packed = pack(numeric, rel_error)
    result.container = packed.data
    if packed.data:
        bound = "lossless" if rel_error is None else f"rel_error {rel_error:g}"
        result.versions["container"] = f"{VERSION}, {bound}"
    if packed.left_out:
        missing = sum(packed.left_out.values())
        reasons = "; ".join(f"{count} {reason}" for reason, count in sorted(packed.left_out.items()))
        reason = f"{missing} numeric events are not in the container, the archive has them: {reasons}"
        result.notes.append(Note(stage="compress", what="skipped", reason=reason[:NOTE]))


def _groups(numeric: Numeric, rel_error: float | None) -> Iterator[_Group]:
    """The most told first: under a limit the rare go."""
    found = [*_of_rows(numeric.rows, rel_error), *_of_tensors(numeric.tensors, rel_error), *_of_spans(numeric.spans)]
    yield from sorted(found, key=lambda group: -group.events)


def _of_rows(rows: Iterable[Rows], rel_error: float | None) -> Iterator[_Group]:
    alike: defaultdict[Any, list[Rows]] = defaultdict(list)
    for one in rows:
        alike[one.kind, one.of, one.dtype, one.names].append(one)
    for members in alike.values():
        for same in aligned(members):
            many = max(1, MAX_NAMES // max(1, len(same[0].names)))
            for first in range(0, len(same), many):
                yield _row_group(same[first : first + many], rel_error)


def aligned(members: list[Rows]) -> Iterator[list[Rows]]:
    """Ranks cut to rows of the same steps: windows end at another step on each rank, what lies between is common to all."""
    if len(members) > 1 and all(bool((np.diff(one.steps) > 0).all()) for one in members):
        common = functools.reduce(np.intersect1d, (one.steps for one in members))
        if 2 * len(common) >= max(len(one.steps) for one in members):
            inside = [np.isin(one.steps, common) for one in members]
            yield [_some(one, keep) for one, keep in zip(members, inside, strict=True)]
            members = [_some(one, ~keep) for one, keep in zip(members, inside, strict=True) if not keep.all()]
    alike: defaultdict[bytes, list[Rows]] = defaultdict(list)
    for one in members:
        alike[one.steps.tobytes()].append(one)
    yield from alike.values()


def _some(one: Rows, keep: npt.NDArray[np.bool_]) -> Rows:
    return replace(one, steps=one.steps[keep], times_ns=one.times_ns[keep], values=one.values[keep])


def _row_group(members: list[Rows], rel_error: float | None) -> _Group:
    first = members[0]
    refused = ""
    if len(set(first.names)) < len(first.names):
        refused = "that have a name twice"
    elif any(_too_long(name) for name in (*first.names, first.of)):
        refused = f"with a name of more than {NAME_BYTES} bytes"
    elif len(first.names) > 1 << 20:
        refused = f"of more than {1 << 20} names"
    bound = rel_error if first.kind != "memory" else None
    return _Group(len(first.steps) * len(members), refused, lambda: _encode_rows(members, bound))


def _encode_rows(members: list[Rows], rel_error: float | None) -> Parts:
    from tracewinnow.codec import encode_series

    first = members[0]
    labels = {"kind": first.kind, "dtype": first.dtype}
    if first.kind != "metrics":
        labels["statistic" if first.kind == "layers" else "device"] = first.of
    columns: dict[tuple[int, bytes], tuple[list[int], npt.NDArray[Any]]] = {}
    for one in members:  # what is the same on many ranks, as after an all-reduce, is stored once
        for place, column in enumerate(np.ascontiguousarray(one.values.T)):
            columns.setdefault((place, column.tobytes()), ([], column))[0].append(one.rank)
    names = [f"{ranks_name(ranks)}/{first.names[place]}" for (place, _), (ranks, _) in columns.items()]
    values = (
        to_codec(np.stack([column for _, column in columns.values()], axis=1), first.dtype)
        if columns
        else (to_codec(first.values, first.dtype))
    )
    times = np.stack([one.times_ns for one in members], axis=1)
    return [
        (
            {**labels, "holds": "values"},
            encode_series(
                values, names=names, steps=first.steps, rel_error=rel_error if values.dtype.kind == "f" else None
            ),
        ),
        ({**labels, "holds": "times"}, encode_series(times, names=[ranks_name([one.rank]) for one in members])),
    ]


def _of_tensors(tensors: Iterable[Tensors], rel_error: float | None) -> Iterator[_Group]:
    for one in tensors:
        refused = ""
        if _too_long(one.name):
            refused = f"with a name of more than {NAME_BYTES} bytes"
        elif len(one.shape) > 31:
            refused = "of more than 31 dimensions"
        many = max(1, TENSOR_ELEMENTS // max(1, math.prod(one.shape)))
        ends = np.concatenate([[0], np.cumsum(one.counts)])
        for first in range(0, len(one.counts), many):
            last = min(first + many, len(one.counts))
            some, inside = slice(first, last), slice(int(ends[first]), int(ends[last]))
            piece = Tensors(
                one.name, one.dtype, one.shape, one.ranks[some], one.steps[some], one.times_ns[some], one.counts[some],
                one.index[inside], one.values[inside],
            )  # fmt: skip
            yield _Group(last - first, refused, lambda piece=piece: _encode_tensors(piece, rel_error))  # type: ignore[misc]


def _encode_tensors(one: Tensors, rel_error: float | None) -> Parts:
    """All of them as one tensor with a dimension more, the first: their number."""
    from tracewinnow.codec import Coo, encode_series, encode_sparse

    size = math.prod(one.shape)
    index = one.index.astype(np.int64) + np.repeat(np.arange(len(one.counts)) * size, one.counts)
    values = to_codec(one.values, one.dtype)
    if values.dtype.kind != "f":  # tensors of the codec are of floats: integers go as the floats of the same bits
        values, rel_error = one.values.view(f"<f{one.values.itemsize}"), None
    labels = {"kind": "sparse", "dtype": one.dtype, "name": one.name}
    told = np.stack([one.ranks, one.times_ns], axis=1)
    return [
        (
            {**labels, "holds": "values"},
            encode_sparse(Coo((len(one.counts), *one.shape), index, values), rel_error=rel_error),
        ),
        ({**labels, "holds": "times"}, encode_series(told, names=["rank", "time_ns"], steps=one.steps)),
    ]


def _of_spans(spans: Spans | None) -> Iterator[_Group]:
    if spans is None:
        return
    for first in range(0, len(spans.name), SPANS):
        some = slice(first, first + SPANS)
        yield _Group(len(spans.name[some]), "", lambda some=some: _encode_spans(spans, some))  # type: ignore[misc]


def _encode_spans(spans: Spans, some: slice) -> Parts:
    from tracewinnow.codec import Span, encode_series, encode_spans

    tracks = {place: track_name(spans.tracks[place]) for place in np.unique(spans.track[some]).tolist()}
    columns = (spans.name, spans.starts_ns, spans.durations_ns, spans.track)
    listed = [
        Span(spans.names[name], start, duration, tracks[track])
        for name, start, duration, track in zip(*(column[some].tolist() for column in columns), strict=True)
    ]
    after_end = spans.times_ns[some] - spans.starts_ns[some] - spans.durations_ns[some]  # int64, wrapping
    return [
        ({"kind": "spans", "holds": "values"}, encode_spans(listed)),
        ({"kind": "spans", "holds": "times"}, encode_series(after_end, names=["after_end_ns"])),
    ]


def to_codec(values: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """Numbers of the wire in a dtype of the codec that holds each bit of them."""
    if dtype == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    if dtype == "uint64":
        return values.view(np.int64)
    return values.astype(np.int64) if dtype in ("int32", "uint32") else values


def ranks_name(ranks: list[int]) -> str:
    """Ranks in the name of a column, ascending: 0, 1, 2, 5 are "0-2,5"; "-" is one that is unknown."""
    runs: list[list[int]] = []
    for rank in ranks:
        if runs and rank == runs[-1][1] + 1 and rank > 0:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    return ",".join("-" if a < 0 else str(a) if a == b else f"{a}-{b}" for a, b in runs)


def track_name(track: tuple[int, str, str, str]) -> str:
    """[rank or null, device, category, error] as JSON, less what is empty at its end."""
    rank, *words = track
    while words and not words[-1]:
        words.pop()
    return json.dumps([rank if rank >= 0 else None, *words], ensure_ascii=False, separators=(",", ":"))


def _too_long(name: str) -> bool:
    return len(name) > NAME_BYTES // 4 and len(name.encode()) > NAME_BYTES

"""Numeric events as arrays, bit for bit as they were sent: what stage 2 tells in words, and stores in a container."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

# DType of the contract -> (name, numpy type on the wire). bfloat16 has none: it is the upper half of a float32.
DTYPES: dict[int, tuple[str, str]] = {
    1: ("float32", "<f4"),
    2: ("float64", "<f8"),
    3: ("float16", "<f2"),
    4: ("bfloat16", "<u2"),
    5: ("int64", "<i8"),
    6: ("int32", "<i4"),
    7: ("uint32", "<u4"),
}
MEMORY = ("used_bytes", "reserved_bytes", "peak_bytes", "limit_bytes")


def floats(values: npt.NDArray[Any], dtype: str) -> npt.NDArray[np.float64]:
    """Numbers of the wire as float64, of the same shape."""
    if dtype == "bfloat16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(invalid="ignore"):  # of a signalling NaN
        return values.astype(np.float64)


@dataclass(slots=True)
class Rows:
    """Events of one rank that name the same things, a row each, in order of time.

    kind: "metrics", "layers" or "memory". of: the statistic of layers, the device of memory, else "". dtype: a name of DTYPES, or
    "uint64". rank: -1 where unknown. steps, times_ns: int64[n]; of memory the steps count readings. values: [n, len(names)] as on
    the wire; bfloat16 as uint16.
    """

    kind: str
    of: str
    dtype: str
    rank: int
    names: tuple[str, ...]
    steps: Ints
    times_ns: Ints
    values: npt.NDArray[Any]


@dataclass(slots=True)
class Tensors:
    """Sparse tensors of one name, shape and dtype, in order of rank, process and sequence.

    ranks, steps, times_ns, counts: int64[n]. counts: entries of each; index (uint32, into the flattened tensor) and values
    have those of all, one after the other.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    ranks: Ints
    steps: Ints
    times_ns: Ints
    counts: Ints
    index: npt.NDArray[np.uint32]
    values: npt.NDArray[Any]


@dataclass(slots=True)
class Spans:
    """Timeline spans. tracks: (rank, device, category, error), each once; name, track: int64[n], places in names and tracks.

    starts_ns, durations_ns, times_ns: int64[n]. times_ns: when each was recorded.
    """

    names: list[str]
    tracks: list[tuple[int, str, str, str]]
    name: Ints
    track: Ints
    starts_ns: Ints
    durations_ns: Ints
    times_ns: Ints


@dataclass(slots=True)
class Numeric:
    """All numeric events of a trace. left_out: what could not be read, and how many events that is."""

    rows: list[Rows] = field(default_factory=list)
    tensors: list[Tensors] = field(default_factory=list)
    spans: Spans | None = None
    left_out: dict[str, int] = field(default_factory=dict)

    def canonical(self) -> Iterator[bytes]:
        """Bytes that stand for it in a content address."""
        for one in self.rows:
            yield repr((one.kind, one.of, one.dtype, one.rank, one.names, len(one.steps))).encode()
            yield from (one.steps.tobytes(), one.times_ns.tobytes(), one.values.tobytes())
        for tensor in self.tensors:
            yield repr((tensor.name, tensor.dtype, tensor.shape, len(tensor.steps))).encode()
            for numbers in (tensor.ranks, tensor.steps, tensor.times_ns, tensor.counts, tensor.index, tensor.values):
                yield numbers.tobytes()
        if self.spans is not None:
            yield repr((self.spans.names, self.spans.tracks)).encode()
            yield self.spans.name.tobytes() + self.spans.track.tobytes() + self.spans.times_ns.tobytes()
            yield self.spans.starts_ns.tobytes() + self.spans.durations_ns.tobytes()

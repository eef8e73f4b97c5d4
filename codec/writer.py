"""Series written step by step: memory does not grow, and what was flushed can be read after any crash."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import container, series
from .errors import BadArgument
from .limits import MAX_TILE_STEPS


class SeriesWriter:
    """Appends steps to a container; use it with `with`, or call close().

    Every chunk_steps steps, and at flush(), a chunk is encoded and written to the operating system in one call: it
    survives the death of the process. After kill -9, decode_series(data, recover=True) gives every whole chunk; close()
    adds the table that makes the file open fast. Not safe for use from several threads.

    >>> with SeriesWriter("norms.tw", names=["a", "b"], rel_error=1e-3) as writer:  # doctest: +SKIP
    ...     writer.append([0.5, 0.25], step=100)
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        names: Sequence[str],
        dtype: DTypeLike = np.float32,
        rel_error: float | None = None,
        abs_error: float | None = None,
        chunk_steps: int = 4096,
    ) -> None:
        """target: a path (created, or emptied), or a binary file, which stays open. Raises BadArgument, OSError."""
        empty = np.zeros((0, len(names)), dtype)
        _, self._meta = series.check(empty, names, rel_error, abs_error)
        most = next(iter(series.rows(MAX_TILE_STEPS, len(names))))[1]
        if not 1 <= chunk_steps <= MAX_TILE_STEPS:
            raise BadArgument(f"chunk_steps is from 1 to {MAX_TILE_STEPS}, not {chunk_steps}")
        self._rows: NDArray[Any] = np.empty((min(chunk_steps, most), len(names)), self._meta.dtype)
        self._steps = np.empty(len(self._rows), np.int64)
        self._waiting = 0
        self._written = 0  # rows in chunks
        self._offset = 0
        self._chunks: list[container.Chunk] = []
        self._owned = isinstance(target, (str, os.PathLike))
        self._file: BinaryIO | None = open(target, "wb", buffering=0) if self._owned else target  # type: ignore[arg-type, assignment] # noqa: SIM115
        self._put(container.header(container.SERIES))
        self._put_chunk(container.META, series.dump_meta(self._meta), (0, 0, 0))

    def append(self, values: ArrayLike, step: int | None = None) -> None:
        """One step: a value for each name. step: 0, 1, 2, ... if not given. Blocks while a full chunk is encoded."""
        self._open()
        row = np.asarray(values, self._meta.dtype)
        if row.shape != self._rows.shape[1:]:
            raise BadArgument(f"a step has {self._rows.shape[1]} values, not an array of shape {row.shape}")
        self._rows[self._waiting] = row
        self._steps[self._waiting] = self._written + self._waiting if step is None else step
        self._waiting += 1
        if self._waiting == len(self._rows):
            self.flush()

    def flush(self) -> None:
        """Writes what waits as a chunk. Chunks of few steps cost more bytes a sample."""
        self._open()
        if not self._waiting:
            return
        steps = self._steps[: self._waiting]
        body = series.encode_rows(self._rows[: self._waiting], steps, self._meta, self._written)
        self._put_chunk(container.DATA, body, series.extent(steps))
        self._written += self._waiting
        self._waiting = 0

    def close(self) -> None:
        """Flushes, and writes the table. May be called twice."""
        if self._file is None:
            return
        self.flush()
        self._put(container.table(self._chunks))
        if self._owned:
            self._file.close()
        self._file = None

    def _open(self) -> None:
        if self._file is None:
            raise BadArgument("the writer is closed")

    def _put_chunk(self, kind: int, body: bytes, extent: tuple[int, int, int]) -> None:
        framed = container.frame(kind, body)
        self._chunks.append(container.Chunk(kind, self._offset, len(framed), *extent))
        self._put(framed)

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        left = memoryview(data)
        while left:  # an unbuffered file may take a part
            left = left[self._file.write(left) :]
        self._offset += len(data)

    def __enter__(self) -> SeriesWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

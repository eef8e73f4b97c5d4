"""Series written step by step: memory does not grow, and what was flushed can be read after any crash."""

from __future__ import annotations

import contextlib
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

    A write that fails (a full disk) raises OSError and loses nothing: the file is cut back to its whole chunks, and a later
    append or flush tries again. Only a step whose append raised was not taken. A file that cannot be cut, as a pipe, ends
    with that failure: whatever is tried then raises OSError, and what it has is read with recover=True.

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
        self._broken = False  # part of a chunk stands at the end of the file
        self._file: BinaryIO | None = open(target, "wb", buffering=0) if self._owned else target  # type: ignore[arg-type, assignment] # noqa: SIM115
        self._start = _place(self._file)
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
            try:
                self.flush()
            except BaseException:
                self._waiting -= 1  # whoever catches this may append the step again
                raise

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
        """Flushes, and writes the table. May be called twice. Closed it is also where that fails, and the file is then one
        that was not finished; flush() beforehand can be tried again."""
        if self._file is None:
            return
        try:
            self.flush()
            self._put(container.table(self._chunks))
        finally:
            if self._owned:
                self._file.close()
            self._file = None

    def _open(self) -> None:
        if self._file is None:
            raise BadArgument("the writer is closed")
        if self._broken:
            raise OSError(
                "a write failed before, and the part of it in the file cannot be cut off: nothing can follow it"
            )

    def _put_chunk(self, kind: int, body: bytes, extent: tuple[int, int, int]) -> None:
        framed = container.frame(kind, body)
        at = self._offset
        self._put(framed)
        self._chunks.append(container.Chunk(kind, at, len(framed), *extent))

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        left = memoryview(data)
        try:
            while left:  # an unbuffered file may take a part
                left = left[self._file.write(left) :]
        except BaseException:
            self._cut()
            raise
        self._offset += len(data)

    def _cut(self) -> None:
        """After a write that failed: the file ends where its last whole chunk does, or is marked as broken."""
        self._broken = True
        if self._file is not None and self._start is not None:
            with contextlib.suppress(OSError, ValueError):  # a buffer may still not be written; a device has no end
                self._file.seek(self._start + self._offset)
                self._file.truncate()
                self._broken = False

    def __enter__(self) -> SeriesWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _place(file: BinaryIO | None) -> int | None:
    """Where the container begins in a file; None if the file has no places, as a pipe."""
    try:
        return None if file is None else file.tell()
    except (OSError, ValueError, AttributeError):
        return None

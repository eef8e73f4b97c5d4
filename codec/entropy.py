"""Streams of residuals by an entropy coder: for each stream a model, then symbols by range asymmetric numeral systems,
and bits that no model would shorten. FORMAT.md, section 8.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from .backend import Latents, backend
from .memory import room
from .reference import entropy as reference
from .streams import expand_up_to
from .varint import Cursor, section

SLOTS = 4096  # sum of the frequencies of a stream
MAX_DIRECT = 96  # cells on each side of zero that have a symbol of their own
TAILS = 64  # symbols of what is beyond them, by its bit length
SAMPLE = 1024  # residuals on which a model is fitted
FINE = 4  # the median of a stream has at least so many bits above the shift
RARE = 256  # one residual in so many may be beyond the direct cells
FEW, MANY, LONG = 4, 32, 1 << 14  # lanes, and the residuals from which many pay: a lane costs two bytes


@dataclass(frozen=True)
class Models:
    """For each stream how many low bits are stored as they are, how many cells have a symbol, and how often each
    symbol occurs among 4096: (streams,) uint8, (streams,) uint8, (streams, 256) uint16."""

    shifts: NDArray[np.uint8]
    directs: NDArray[np.uint8]
    frequencies: NDArray[np.uint16]

    def bits(self) -> NDArray[np.float64]:
        """What a residual of each stream costs, less the bits of tails: (streams,)."""
        share = self.frequencies / SLOTS
        coded: NDArray[np.float64] = -(share * np.log2(np.where(share > 0, share, 1))).sum(1) + self.shifts
        return coded


def encode(streams: list[Latents], fixed: tuple[int, int] | None = None) -> bytes:
    """Nothing if there are no streams; else u8 lanes | section(zstd(models)) | sections of symbols, tails, low bits.

    fixed: shift and direct cells of all streams, instead of what suits each.
    """
    if not streams:
        return b""
    sizes = np.array([len(stream) for stream in streams], np.int64)
    total = int(sizes.sum())
    symbols = room("symbols", (total,), np.uint8)
    shifts, directs = np.zeros((2, len(streams)), np.uint8)
    models = Models(shifts, directs, np.zeros((len(streams), 256), np.uint16))
    tails, low = [], []
    at = 0
    for k, stream in enumerate(streams):
        shift, direct = fixed or fit(stream)
        counts, tail, bits = backend().tokens(stream, shift, direct, symbols[at : at + len(stream)])
        models.shifts[k], models.directs[k], models.frequencies[k] = shift, direct, normalise(counts)
        tails.append(tail)
        low.append(bits)
        at += len(stream)
    lanes = MANY if total >= LONG else FEW
    parts = [zstandard.compress(dump(models), 9), backend().rans_encode(symbols, sizes, models.frequencies, lanes)]
    parts += [b"".join(tails), b"".join(low)]
    return bytes((lanes,)) + b"".join(map(section, parts))


def fit(stream: Latents) -> tuple[int, int]:
    """(shift, direct cells) from the median and the tail of a sample of the stream."""
    part = stream[:: max(1, len(stream) // SAMPLE)]
    size = np.sort(part ^ (part >> 8 * part.itemsize - 1))  # magnitudes, those of negative ones less one
    shift = max(0, int(size[len(size) // 2]).bit_length() - FINE)
    return shift, min((int(size[-1 - len(size) // RARE]) >> shift) + 1, MAX_DIRECT)


def normalise(counts: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Frequencies like the counts: their sum is SLOTS, and what occurs has at least one."""
    total = int(counts.sum())
    found = np.where(counts > 0, np.maximum((counts * SLOTS + total // 2) // total, 1), 0)
    while (left := SLOTS - int(found.sum())) != 0:
        most = int(np.argmax(found))
        found[most] += max(left, -(int(found[most]) // 2))
    return found.astype(np.uint16)


def dump(models: Models) -> bytes:
    """shifts | direct cells | first symbols | last symbols | frequencies from first to last: low bytes, then high."""
    there = models.frequencies != 0
    first = np.argmax(there, 1)
    last = 255 - np.argmax(there[:, ::-1], 1)
    inside = (np.arange(256) >= first[:, None]) & (np.arange(256) <= last[:, None])
    packed = models.frequencies[inside].astype("<u2").view(np.uint8).reshape(-1, 2).T
    rows = (models.shifts, models.directs, first.astype(np.uint8), last.astype(np.uint8), packed)
    return b"".join(a.tobytes() for a in rows)


def load(models: bytes, streams: int, word: int) -> Models:
    """Undoes `dump`. word: bits of a latent. ValueError if a model is not what it should be."""
    rows = reference.read_models(models, streams, word)
    shifts, directs = (np.array([row[k] for row in rows], np.uint8) for k in (0, 1))
    return Models(shifts, directs, np.array([row[2] for row in rows], np.uint16).reshape(streams, 256))


def read_models(cursor: Cursor, streams: int) -> tuple[int, bytes]:
    """(lanes, models as `dump` wrote them) at the cursor, which moves behind them."""
    lanes = cursor.u8()
    if lanes not in (FEW, MANY):
        raise cursor.corrupt(f"{lanes} lanes")
    return lanes, expand_up_to(cursor.part(), streams * (4 + 2 * 256))


def decode(cursor: Cursor, sizes: NDArray[np.int64], dtype: np.dtype[Any]) -> Latents:
    """The residuals of all streams, one after the other, in memory that the next call in this thread uses again. The
    cursor moves behind them."""
    out = room("streams", (int(sizes.sum()),), dtype)
    if len(sizes):
        lanes, models = read_models(cursor, len(sizes))
        coded, tails, low = cursor.section(), cursor.section(), cursor.section()
        if not backend().decode_streams(coded, sizes, models, lanes, tails, low, out):
            raise cursor.corrupt("the models, words or bits of the streams are not right")
    return out

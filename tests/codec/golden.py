"""What the golden files hold, made from integer arithmetic. Run as a program, it writes missing files."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np

from tracewinnow.codec import Span, encode_bundle, encode_series, encode_spans, encode_sparse, encode_text, positions

FOLDER = Path(__file__).parent / "golden" / "v1"


def waves(steps: int, names: int, dtype: str) -> np.ndarray:
    """Columns that move together, from integer arithmetic alone."""
    t, j = np.arange(steps, dtype=np.int64)[:, None], np.arange(names, dtype=np.int64)[None, :]
    common = (t * t * 7919 + t * 104729) % 1009
    own = (t * 31 + j * 17 + t * j * 13) % 211
    return ((2000 + 2 * common + own + 40 * j) / 1024).astype(dtype)


def diverging() -> np.ndarray:
    values = waves(300, 5, "f4")
    values[200:, 2] = np.nan
    values[250, 0], values[251, 1], values[10, 3], values[11, 3] = np.inf, -np.inf, 0.0, -0.0
    values[12, 4] = 1e-42
    return values


def scattered() -> np.ndarray:
    """Rows that are ever fuller, their entries as if by chance: splitmix64 of the place. (200, 300) bool."""
    t = np.arange(60_000, dtype=np.uint64)
    h = t * np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    there: np.ndarray = (h >> np.uint64(40)) % np.uint64(120_000) < t
    return there.reshape(200, 300)


def in_blocks(tensor: np.ndarray) -> bytes:
    """encode_sparse, with positions as they are coded in large tensors."""
    with patch.object(positions, "encode", lambda there, total: positions.encode_blocks(np.packbits(there))):
        return encode_sparse(tensor)


def mask() -> np.ndarray:
    return np.where(waves(40, 30, "f4") > 3.5, waves(40, 30, "f4"), 0).astype(np.float16).reshape(5, 8, 30)


LOG = b"step 1 loss 2.50\nstep 2 loss 2.25\r\nstep 10 loss 0.007\n\xff\xfe broken\rlone\n"
LOG += b"Traceback (most recent call last):\nno end 18446744073709551616"

FILES: dict[str, Callable[[], bytes]] = {
    "series_float32": lambda: encode_series(waves(300, 6, "f4"), names=[f"layer.{i}.été" for i in range(6)]),
    "series_float32_rel": lambda: encode_series(waves(300, 6, "f4"), rel_error=1e-3, steps=np.arange(300) ** 2),
    "series_float32_abs": lambda: encode_series(waves(300, 6, "f4") - 3, abs_error=1e-2, steps=np.arange(0, 3000, 10)),
    "series_float64_rel": lambda: encode_series(-waves(200, 3, "f8"), rel_error=1e-4),
    "series_float64": lambda: encode_series(waves(200, 3, "f8") - 2.5),
    "series_float16": lambda: encode_series(waves(200, 3, "f2") - np.float16(3)),
    "series_int64": lambda: encode_series((waves(200, 3, "f8") * 2**40).astype(np.int64)),
    "series_diverging": lambda: encode_series(diverging()),
    "series_diverging_rel": lambda: encode_series(diverging(), rel_error=1e-2),
    "series_trend": lambda: encode_series(np.cumsum(np.cumsum(waves(400, 3, "f8"), 0), 0).astype(np.float32)),
    "series_decimals": lambda: encode_series(np.round(waves(400, 1, "f8"), 2)),
    "series_wide": lambda: encode_series(waves(10, 300, "f4"), rel_error=1e-2),
    "series_long": lambda: encode_series(waves(2200, 8, "f4"), rel_error=1e-2),
    "series_empty": lambda: encode_series(np.zeros((0, 2), np.float32)),
    "sparse_float16": lambda: encode_sparse(mask()),
    "sparse_pattern": lambda: encode_sparse(mask() != 0),
    "sparse_blocks": lambda: in_blocks(scattered()),
    "sparse_few": lambda: encode_sparse(np.eye(70, dtype=np.float32)),
    "sparse_scalar": lambda: encode_sparse(np.array(-0.0)),
    "text": lambda: encode_text(LOG, times=[5, 6, 7, 8, 9, 10], ranks=[0, 1, 0, 1, 0, 1]),
    "spans": lambda: encode_spans([Span("forward", 10**18 + i * 1000, 900 - i, f"rank{i % 2}") for i in range(50)]),
    "bundle": lambda: encode_bundle(
        [({"kind": "loss", "é": ""}, encode_series(waves(20, 2, "f4"))), ({}, encode_spans([Span("load", 5, 7)]))]
    ),
}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in FILES.items():
        path = FOLDER / f"{name}.twc"
        if not path.exists():
            path.write_bytes(make())

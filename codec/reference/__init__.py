"""The loops of the codec in plain Python and numpy: slow, and meant to be read beside FORMAT.md.

The compiled twin is ../kernels; both satisfy backend.Backend and give the same bytes. Latents are (columns, steps).
Sums of integers wrap, at 32 or 64 bits; floats are float32 or float64, one operation after the other, never fused.
"""

import zlib

from .blocks import join, residuals, split
from .entropy import decode_streams, rans_encode, tokens
from .latents import exp_table, log_quantise, order_bits
from .prediction import choose, gram, innovations, read_plan, select
from .sparse import collect, fill

NAME = "reference"


def crc32(data: bytes | memoryview, value: int = 0) -> int:
    """The CRC-32 of zlib, going on from value."""
    return zlib.crc32(data, value)


__all__ = [
    "NAME",
    "choose",
    "collect",
    "crc32",
    "decode_streams",
    "exp_table",
    "fill",
    "gram",
    "innovations",
    "join",
    "log_quantise",
    "order_bits",
    "rans_encode",
    "read_plan",
    "residuals",
    "select",
    "split",
    "tokens",
]

"""The loops of the codec, compiled; they satisfy backend.Backend. The same in plain Python is in ../reference.

The GIL is released in every loop. A missing module means that the kernels were not built: backend.load says how.
"""

from .across import gram, select  # type: ignore[import-not-found]
from .blocks import residuals, split  # type: ignore[import-not-found]
from .checksum import crc32  # type: ignore[import-not-found]
from .entropy import decode_streams, rans_encode, tokens  # type: ignore[import-not-found]
from .join import join  # type: ignore[import-not-found]
from .latents import exp_table, log_quantise, order_bits  # type: ignore[import-not-found]
from .prediction import choose, innovations, read_plan  # type: ignore[import-not-found]
from .sparse import collect, fill  # type: ignore[import-not-found]

NAME = "kernels"

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

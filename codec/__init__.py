"""The smallest decodable form of training telemetry, and the fewest tokens that say it.

A library of its own: it needs numpy, pcodec and zstandard, and nothing else of tracewinnow. The format is in FORMAT.md beside this file.
"""

from .errors import BadArgument, CodecError, Corrupt, TooNew, Truncated
from .series import Series, decode_series, encode_series

__all__ = [
    "BadArgument",
    "CodecError",
    "Corrupt",
    "Series",
    "TooNew",
    "Truncated",
    "decode_series",
    "encode_series",
]

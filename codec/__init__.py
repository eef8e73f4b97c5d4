"""The smallest decodable form of training telemetry, and the fewest tokens that say it.

A library of its own: it needs numpy, pcodec and zstandard, and nothing else of tracewinnow. The format is in
FORMAT.md beside this file.
"""

from .errors import BadArgument, CodecError, Corrupt, TooNew, Truncated
from .series import Series, decode_series, encode_series
from .sparse import Coo, decode_sparse, encode_sparse
from .writer import SeriesWriter

__all__ = [
    "BadArgument",
    "CodecError",
    "Coo",
    "Corrupt",
    "Series",
    "SeriesWriter",
    "TooNew",
    "Truncated",
    "decode_series",
    "decode_sparse",
    "encode_series",
    "encode_sparse",
]

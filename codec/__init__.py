"""The smallest decodable form of training telemetry, and the fewest tokens that say it.

A library of its own: it needs numpy, pcodec and zstandard, and nothing else of tracewinnow. The format is in
FORMAT.md beside this file.
"""

from .aggregate import Summary, aggregate, register
from .bundle import Part, decode_bundle, encode_bundle
from .errors import BadArgument, CodecError, Corrupt, TooNew, Truncated
from .render import Text, parse_series, render_series
from .render_more import render_spans, render_sparse
from .segments import Segment, decode_segments, decode_text, encode_text
from .series import Series, decode_series, encode_series
from .spans import Span, decode_spans, encode_spans
from .sparse import Coo, decode_sparse, encode_sparse
from .writer import SeriesWriter

__all__ = [
    "BadArgument",
    "CodecError",
    "Coo",
    "Corrupt",
    "Part",
    "Segment",
    "Series",
    "SeriesWriter",
    "Span",
    "Summary",
    "Text",
    "TooNew",
    "Truncated",
    "aggregate",
    "decode_bundle",
    "decode_segments",
    "decode_series",
    "decode_spans",
    "decode_sparse",
    "decode_text",
    "encode_bundle",
    "encode_series",
    "encode_spans",
    "encode_sparse",
    "encode_text",
    "parse_series",
    "register",
    "render_series",
    "render_spans",
    "render_sparse",
]

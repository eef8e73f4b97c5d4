"""The three stages over one trace."""

from __future__ import annotations

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.trace import Trace


def preprocess(trace: Trace, options: Options) -> PreprocessedTrace:
    """Denoise, compress and rank a trace. Deterministic: same trace and options, same bytes, `seconds` aside."""
    raise NotImplementedError

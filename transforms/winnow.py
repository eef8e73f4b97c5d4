"""One log, in and out."""

from __future__ import annotations

from collections.abc import Sequence

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.transforms.reference import Reference


def winnow(
    text: str | bytes,
    budget: int = 2000,
    query: str | None = None,
    reference: Reference | str | bytes | Sequence[str | bytes] | None = None,
    workload: str | None = None,
) -> PreprocessedTrace:
    """Winnow one log down to a token budget.

    text: a whole log; bytes may be UTF-8 or UTF-16 with a byte order mark. reference: logs of healthy runs, or their profile.
    """
    raise NotImplementedError

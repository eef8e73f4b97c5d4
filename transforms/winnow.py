"""One log, in and out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tracewinnow.schemas.errors import BadUse
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.pieces import SIZE, traces, winnow_pieces
from tracewinnow.transforms.reading import template_names
from tracewinnow.transforms.reference import MOST, Names, Reference, no_names


def winnow(
    text: str | bytes,
    budget: int = 2000,
    query: str | None = None,
    reference: Reference | str | bytes | Sequence[str | bytes] | None = None,
    workload: str | None = None,
) -> PreprocessedTrace:
    """Winnow one log down to a token budget.

    text: a whole log; bytes may be UTF-8, or UTF-16 or UTF-32 with a byte order mark; what is no text comes through as replacement
    characters. budget: the most tokens that `text` of the result has. query: what the reader asks. reference: logs of healthy runs
    of the same job, or their profile. workload: what kind of job this is, in a word. Raises BadUse for a budget that cannot be,
    and for arguments of other types.
    """
    if not isinstance(text, (str, bytes)):
        raise BadUse(f"text is of type {type(text).__name__}: give str or bytes")
    options = Options(budget, "" if query is None else query, "" if workload is None else workload, profile(reference))
    return winnow_pieces(cut(text), options)


def cut(text: str | bytes) -> Iterator[str | bytes]:
    """The text in chunks, so that a large one is worked through piece by piece."""
    for start in range(0, max(1, len(text)), SIZE):
        yield text[start : start + SIZE] if len(text) > SIZE else text


def profile(reference: Reference | str | bytes | Sequence[str | bytes] | None) -> Reference | None:
    """The profile of healthy logs."""
    if reference is None or isinstance(reference, Reference):
        return reference
    logs = [reference] if isinstance(reference, (str, bytes)) else reference
    if not isinstance(logs, Sequence) or not all(isinstance(log, (str, bytes)) for log in logs):
        raise BadUse("reference is the text of healthy logs (str or bytes, or a list of them), or a Reference")
    found = Reference()
    for log in logs:
        found.add(names_of(cut(log)))
    return found


def names_of(chunks: Iterable[str | bytes]) -> Names:
    """Names of the distinct templates of a log that comes in chunks: uint64, ascending, MOST at most. Memory is that of a piece."""
    found = no_names()
    for trace, _ in traces(chunks):
        here = np.array([int(name, 16) for name in template_names(trace.lines)], np.uint64)
        found = np.union1d(found, here)[:MOST]
    return found

"""One log, in and out."""

from __future__ import annotations

from collections.abc import Sequence

from tracewinnow.schemas.trace_pb2 import Note, PreprocessedTrace
from tracewinnow.transforms.lines import decode, split
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.preprocess import preprocess
from tracewinnow.transforms.reading import template_names
from tracewinnow.transforms.reference import Reference
from tracewinnow.transforms.trace import Trace


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
    of the same job, or their profile. workload: what kind of job this is, in a word. Raises BadUse for a budget that cannot be.
    """
    options = Options(budget, query or "", workload or "", profile(reference))
    data = text if isinstance(text, bytes) else text.encode("utf8", "surrogateescape" if "\udc80" <= max(text, default="") <= "\udcff" else "surrogatepass")
    return winnow_pieces([data], options)


def profile(reference: Reference | str | bytes | Sequence[str | bytes] | None) -> Reference | None:
    """The profile of healthy logs."""
    if reference is None or isinstance(reference, Reference):
        return reference
    found = Reference()
    for log in [reference] if isinstance(reference, (str, bytes)) else reference:
        found.add(template_names(split(decode(log)[0] if isinstance(log, bytes) else log)))
    return found

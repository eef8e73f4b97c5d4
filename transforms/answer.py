"""One answer over all the traces of a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment


@dataclass(frozen=True, slots=True)
class Answer:
    """text: what to send, at most `budget` tokens. chosen: (trace_id, segment) in the order of the text."""

    text: str
    tokens: int
    tokens_before: int  # of all the traces together
    chosen: tuple[tuple[str, Segment], ...]


def answer(
    traces: Sequence[PreprocessedTrace], budget: int, query: str | None = None, holes: Sequence[str] = ()
) -> Answer:
    """Choose over the stored segments of all the traces of one job, and print them in time order under a token budget.

    holes: a sentence for each hole in a process's sequence; they stand in the header. Raises BadUse for a budget below 1.
    """
    raise NotImplementedError

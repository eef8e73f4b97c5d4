"""What a caller may choose about the stages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tracewinnow.schemas.errors import BadUse
from tracewinnow.transforms.reference import Reference

MAX_BUDGET = 10_000_000  # tokens; more than any context window, so a larger one is a slip of the pen


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one run of the stages; part of the content address.

    budget: the most tokens that `text` may have. query: what the reader asks; lines that speak of it come first.
    workload: what kind of job this is, in a word ("training", "ci"); written in the result. reference: what healthy runs
    print. store_tokens: how many tokens of segments are stored beside those of `text`, for answers over many traces; with 0,
    `segments` are exactly those of `text`. rel_error: largest relative error of floats in the container; without one every
    bit is kept.

    Raises BadUse for a budget below 1 or beyond MAX_BUDGET, for a query or a workload that is no str, for a negative
    store_tokens, and for a rel_error outside of (0, 1).
    """

    budget: int = 2000
    query: str = ""
    workload: str = ""
    reference: Reference | None = None
    store_tokens: int = 0
    rel_error: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.budget, bool) or not isinstance(self.budget, int) or not 1 <= self.budget <= MAX_BUDGET:
            raise BadUse(f"budget is {self.budget!r}: give a whole number of tokens from 1 to {MAX_BUDGET}")
        for name, value in (("query", self.query), ("workload", self.workload)):
            if not isinstance(value, str):
                raise BadUse(f"{name} is of type {type(value).__name__}: give str")
        if self.store_tokens < 0:
            raise BadUse(f"store_tokens is {self.store_tokens}: give 0 or more")
        if self.rel_error is not None and not 0 < self.rel_error < 1:
            raise BadUse(f"rel_error is {self.rel_error}: give a number between 0 and 1, or none to keep every bit")

    def canonical(self) -> bytes:
        """The bytes that stand for these options in a content address: equal options, equal bytes."""
        reference = self.reference.digest() if self.reference else ""
        fields = (str(self.budget), self.query, self.workload, reference, str(self.store_tokens), str(self.rel_error))
        return hashlib.sha256("\0".join(fields).encode("utf8", "surrogatepass")).digest()

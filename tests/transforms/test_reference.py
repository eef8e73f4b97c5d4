"""Profiles of healthy runs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.schemas.errors import BadInput
from tracewinnow.transforms.reference import Reference

RUNS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=5), max_size=5)


def of(runs: list[list[str]]) -> Reference:
    profile = Reference()
    for names in runs:
        profile.add(names)
    return profile


@settings(max_examples=100, deadline=None)
@given(RUNS, RUNS)
def test_merging_is_counting_together(first: list[list[str]], second: list[list[str]]) -> None:
    both = of(first + second)
    assert of(first).merge(of(second)).save() == both.save() == of(second).merge(of(first)).save()
    assert Reference.load(both.save()).digest() == both.digest()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "x"}', '{"format": "other", "runs": 1, "templates": {}}', "\x00"]
)
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not-a-reference"):
        Reference.load(text)

"""What is printed: verbatim, in order, every gap marked."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.transforms import render, tokens


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(1, max(1, n))))))
def test_marks_and_lines_together_are_the_whole_log(case: tuple[int, set[int]]) -> None:
    count, kept = case
    pieces = [(line, line, f"line {line}") for line in sorted(kept) if line <= count]
    seen: list[int] = []
    for row in render.render(pieces, count).split("\n"):
        gap = re.fullmatch(r"…(\d+)(?:-(\d+))?", row)
        if gap:
            seen += range(int(gap[1]), int(gap[2] or gap[1]) + 1)
        elif row:
            seen.append(int(row.removeprefix("line ")))
    assert seen == list(range(1, count + 1))


@pytest.mark.parametrize("lines", [1, 9, 10, 4_321, 9_999_999])
def test_a_mark_never_costs_more_than_was_reserved(lines: int) -> None:
    assert tokens.count("\n" + render.gap(max(1, lines - 1), lines) + "\n") - 1 <= render.marker_tokens(lines)


def test_repeats_are_said_on_the_first_line() -> None:
    assert render.repeated("a\nb", 1, ()) == "a\nb"
    assert render.repeated("a\nb", 8, (0, 1, 2, 3, 7)) == "a ×8 ranks 0-3,7\nb"
    assert render.repeated("a", 12, ()) == "a ×12"


def test_a_blank_line_bears_no_mark() -> None:
    assert render.repeated("\n  a\nb", 3, ()) == "\n  a ×3\nb"
    assert render.repeated("", 384, (0, 1)) == ""
    assert render.repeated(" \n", 5, ()) == " \n"


def test_many_ranks_apart_are_counted() -> None:
    assert render.listed(range(0, 40, 2)) == "0…38 (20)"


def test_bytes_that_were_no_text_can_be_printed() -> None:
    assert render.clean(b"a\xffb".decode("utf8", "surrogateescape")) == "a�b"


@pytest.mark.parametrize(
    ("text", "head"), [("a", 0), ("", 0), ("\n \n", 0), ("\na", 1), (" \n\n  a\nb", 2), ("  a\n\nb", 0)]
)
def test_the_head_is_the_line_that_bears_the_mark(text: str, head: int) -> None:
    assert render.head_of(text) == head
    marked = render.repeated(text, 5, ()).split("\n")
    assert [i for i, line in enumerate(marked) if "×5" in line] == ([head] if text.strip() else [])


@settings(max_examples=200, deadline=None)
@given(st.text("ab \n:é…日", max_size=80), st.integers(1, 40))
def test_a_beginning_fits_and_says_that_it_was_cut(text: str, budget: int) -> None:
    found = render.beginning(text, budget)
    assert tokens.count(found) <= budget
    if found != text:
        assert text.startswith(found.removesuffix("…"))
        assert tokens.count(text) > budget


def test_a_cut_is_marked_where_there_is_room() -> None:
    text = "Error: no space left on the device that holds the shards"
    assert render.beginning(text, 6) == tokens.head(text, 5) + "…"
    assert render.beginning(text, 100) == text
    assert render.beginning(text, 1) == tokens.head(text, 1)

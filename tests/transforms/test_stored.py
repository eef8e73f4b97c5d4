"""The choice of stored lines: the reason of what does not fit whole, new before said, gaps kept apart."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.test_clues import line, offers, trace
from tracewinnow.schemas.trace_pb2 import Segment
from tracewinnow.transforms import tokens
from tracewinnow.transforms.offers import Offer, part
from tracewinnow.transforms.reading import template_names
from tracewinnow.transforms.stored import stored

TRACEBACK = "\n".join(
    [
        "Traceback (most recent call last):",
        *(f'  File "/srv/app/module_{i}.py", line {i}, in call_{i}' for i in range(30)),
        "ValueError: shape",
    ]
)


def block(text: str, score: float = 5.0, first: int = 100, **more: object) -> Offer:
    segment = Segment(
        first=first, last=first + text.count("\n"), kind="block", label="actionable", score=score, text=text,
        tokens=tokens.count(text), **{"count": 1, **more},  # type: ignore[arg-type]
    )  # fmt: skip
    return Offer(0, segment, score, segment.tokens + 1)


def texts(some: list[Offer], room: int) -> list[str]:
    return [offer.segment.text for offer in stored(some, [trace()]).choose(room)]


def test_a_block_too_large_for_the_room_is_told_by_its_reason() -> None:
    chosen = stored([block(TRACEBACK)], [trace()]).choose(60)
    assert chosen[-1].segment.text.endswith("ValueError: shape")
    assert chosen[-1].segment.last == 131
    for offer in chosen:
        lines = TRACEBACK.split("\n")[offer.segment.first - 100 : offer.segment.last - 99]
        assert offer.segment.text == "\n".join(lines)


def test_what_is_said_again_and_again_gives_way_to_what_is_new() -> None:
    same = [line(10 * i, f"connection reset while waiting for peer number {i}", score=4.0) for i in range(1, 20)]
    other = line(500, "cannot allocate buffer of the requested size", score=2.0)
    assert "allocate" in "".join(texts(offers(*same, other), 100))


def test_what_another_rank_said_gives_way() -> None:
    some = [block("ValueError: shape", first=100 * rank + 1, ranks=[rank]) for rank in range(8)]
    some.append(block("OSError: [Errno 28] No space left on device", 2.0, first=2000, ranks=[3]))
    assert any("No space" in text for text in texts(some, 60))


def test_what_fits_is_there_in_order() -> None:
    some = [block("b\nc", first=20), block("a", first=3), block("d e", first=22)]
    assert texts(some, 1000) == ["a", "b\nc", "d e"]


def test_nothing_to_choose_from() -> None:
    assert stored([], []).choose(100) == []
    assert stored([block("a")], [trace()]).choose(0) == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text("ab \n:", min_size=1, max_size=80), st.floats(-5, 25)), max_size=30), st.integers(1, 400)
)
def test_never_more_than_the_room(some: list[tuple[str, float]], room: int) -> None:
    given_offers = [block(text, score, first=1000 * at + 1) for at, (text, score) in enumerate(some)]
    chosen = stored(given_offers, [trace()]).choose(room)
    assert sum(tokens.count(offer.segment.text + "\n") for offer in chosen) <= room + len(chosen)
    places = [(offer.segment.first, offer.segment.last) for offer in chosen]
    assert places == sorted(places)
    assert all(before[1] < after[0] for before, after in pairwise(places))


def test_a_line_that_a_clue_raised_is_not_told_twice() -> None:
    text = "\n".join(["cleanup:", *(f"    - part-{name}.bin" for name in "abcdefgh")])
    whole = block(text, 1.0)
    raised = part(whole, 3, 4)
    raised = Offer(raised.trace, raised.segment, 6.0, raised.tokens)
    for room in range(5, 120):
        chosen = stored([whole, raised], [trace()]).choose(room)
        told = [n for o in chosen for n in range(o.segment.first, o.segment.last + 1)]
        assert told == sorted(set(told))
        for offer in chosen:
            lines = text.split("\n")[offer.segment.first - 100 : offer.segment.last - 99]
            assert offer.segment.text == "\n".join(lines)
    assert "    - part-c.bin" in texts([whole, raised], 30)


def parts_of(some: list[Offer], room: int) -> dict[str, Segment]:
    """Of each line that begins a part, the part."""
    chosen = stored(some, [trace()]).choose(room)
    return {offer.segment.text.strip("\n").split("\n")[0]: offer.segment for offer in chosen}


@pytest.mark.parametrize("lead", ["", "\n"])
def test_what_a_segment_stands_for_is_said_of_its_head_alone(lead: str) -> None:
    whole = block(lead + TRACEBACK, count=384, ranks=range(8), template="that of the head")
    [all_of_it] = parts_of([whole], 5000).values()
    assert (all_of_it.count, list(all_of_it.ranks), all_of_it.template) == (384, [*range(8)], "that of the head")
    other = [f"OSError: disk {name} is full" for name in ("sda", "sdb")]
    for count in (384, 1):
        some = block(
            "\n".join([lead + "Error: head", *["    at calm"] * 30, *other]),
            count=count,
            ranks=range(8),
            template="head",
        )
        found = parts_of([some], 60)
        assert any("sda" in one.text for said, one in found.items() if said != "Error: head")
        for said, part_of in found.items():
            if said == "Error: head":
                assert part_of.count == count
                assert list(part_of.ranks) == ([*range(8)] if count > 1 else [])
            else:
                assert (part_of.count, list(part_of.ranks)) == (1, [])
                assert part_of.template == template_names([said])[0]


def test_a_line_of_a_block_that_a_clue_raised_does_not_take_the_count_of_the_block() -> None:
    head = "Error: head"
    whole = block(f"{head}\nOSError: disk sda is full", count=384, ranks=range(8), template=template_names([head])[0])
    for place, count, ranks in ((0, 384, [*range(8)]), (1, 1, [])):
        [found] = stored([part(whole, place, place + 1)], [trace()]).choose(100)
        assert (found.segment.count, list(found.segment.ranks)) == (count, ranks)


def test_what_is_stored_is_shown_as_it_is_stored() -> None:
    """A line made fit to be shown is not made so again: here its text looks like that of a carrier."""
    for text in ("out of memory on rank 3\tdevice 0\t2026-01-02T03:05:00Z giving up", "2026-01-02T03:05:00Z giving up"):
        assert texts([block(text)], 100) == [text]

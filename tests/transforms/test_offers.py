"""The choice of segments: new before said, and ends of what does not fit."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.test_clues import line, offers, trace
from tracewinnow.schemas.trace_pb2 import Segment
from tracewinnow.transforms import tokens
from tracewinnow.transforms.offers import Offer, choose, ranked, shortened

TRACEBACK = "\n".join(
    [
        "Traceback (most recent call last):",
        *(f'  File "/srv/app/module_{i}.py", line {i}, in call_{i}' for i in range(30)),
        "ValueError: shape",
    ]
)
STACK = "\n".join(
    ["Thread 7 (most recent call first):", *(f'  File "/srv/{i}.py", line {i} in f{i}' for i in range(30))]
)


def block(text: str, score: float = 5.0, first: int = 100) -> Offer:
    segment = Segment(
        first=first, last=first + text.count("\n"), kind="block", label="actionable", score=score, text=text,
        tokens=tokens.count(text), count=1,
    )  # fmt: skip
    return Offer(0, segment, score, segment.tokens + 1)


def test_a_traceback_is_shown_from_its_end_a_stack_from_its_beginning() -> None:
    cut = shortened(block(TRACEBACK), 60)
    assert cut is not None
    assert cut.segment.text.endswith("call_29\nValueError: shape")
    assert (cut.segment.first, cut.segment.last) == (132 - cut.segment.text.count("\n") - 1, 131)
    assert cut.tokens <= 61
    cut = shortened(block(STACK), 60)
    assert cut is not None
    assert cut.segment.text.startswith("Thread 7 (most recent call first):\n")
    assert cut.segment.first == 100
    assert shortened(block(TRACEBACK), 2) is None


def test_a_block_too_large_for_the_room_is_not_dropped() -> None:
    [chosen] = choose([block(TRACEBACK)], [trace()], 150)
    assert chosen.segment.text.endswith("ValueError: shape")


def test_what_says_the_same_with_other_numbers_gives_way_to_what_is_new() -> None:
    same = [line(i, f"connection reset while waiting for peer number {i}", score=4.0) for i in range(1, 20)]
    other = line(50, "cannot allocate buffer of the requested size", score=2.0)
    chosen = choose(ranked(offers(*same, other)), [trace()], 60)
    assert "allocate" in "".join(offer.segment.text for offer in chosen[:2])


def test_what_the_header_said_is_not_said_again() -> None:
    told, new = (
        line(1, "job crash: disk quota exceeded on store", score=4.0),
        line(2, "quota agent lowered its limit", score=2.0),
    )
    chosen = choose(ranked(offers(told, new)), [trace()], 24, "job x crashed: disk quota exceeded on store")
    assert [offer.segment.first for offer in chosen] == [2]


def test_series_in_trouble_have_their_share_before_lines() -> None:
    loss = Segment(kind="series", label="actionable", score=4.0, text="loss steps 1-9: 2 → NaN", tokens=14)
    lines = [line(i, f"error of kind {chr(96 + i)} in {chr(97 + i)}", score=8.0) for i in range(1, 20)]
    chosen = choose(ranked(offers(*lines, loss)), [trace()], 120)
    assert any(offer.segment.kind == "series" for offer in chosen)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text("ab \n:", min_size=1, max_size=80), st.floats(-5, 25)), max_size=30), st.integers(1, 400)
)
def test_never_more_than_the_room(texts: list[tuple[str, float]], room: int) -> None:
    given_offers = [block(text, score, first=1000 * at + 1) for at, (text, score) in enumerate(texts)]
    chosen = choose(ranked(given_offers), [trace()], room)
    assert sum(offer.tokens for offer in chosen) <= room
    assert len({offer.segment.first // 1000 for offer in chosen}) == len(chosen)

"""What stands in an answer before any line."""

from __future__ import annotations

from tests.transforms.test_clues import offers
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.transforms import tokens
from tracewinnow.transforms.offers import UNLIKELY, offered, part, told


def series(name: str, score: float, kind: str = "series") -> Segment:
    text = f"{name} steps 1-9: 2 → {score}"
    return Segment(kind=kind, label="actionable", score=score, text=text, tokens=tokens.count(text))


def names(room: int, lines: bool, *some: Segment) -> list[str]:
    return [offer.segment.text.split(" ")[0] for offer in told(offers(*some), room, lines)]


def test_series_in_trouble_come_first_and_each_once() -> None:
    some = [series("lr", 1.0), series("loss", 4.0), series("loss", 3.0), series("norm", 5.0)]
    assert names(1000, True, *some) == ["norm", "loss", "lr"]


def test_lines_are_left_their_room() -> None:
    some = [series(chr(97 + at) * 5, 4.0 - at) for at in range(4)] + [series("calm", 0.5), series("quiet", 0.4)]
    for room in (10, 40, 100, 200):
        chosen = told(offers(*some), room, True)
        assert sum(offer.tokens for offer in chosen) <= 0.55 * room
        assert sum(offer.tokens for offer in told(offers(*some), room, False)) <= room
    assert len(told(offers(*some), 1000, False)) == 6


def test_nothing() -> None:
    assert told([], 100, True) == []


def test_what_was_drawn_and_is_unlikely_stands_in_no_answer_unless_it_is_asked_for() -> None:
    said = [("noise", 1.0), ("noise", 0.1), ("context", 1.0), ("context", 0.1)]
    some = [
        Segment(
            first=n + 1, last=n + 1, label=label, keep_probability=p, score=UNLIKELY - 1, text=f"line {n}", tokens=3
        )
        for n, (label, p) in enumerate(said)
    ]
    trace = PreprocessedTrace(segments=some)
    assert [offer.segment.first for offer in offered(0, trace, "")] == [3]
    assert len(offered(0, trace, "", noise=True)) == len(offered(0, trace, "line")) == 4
    for segment in trace.segments:
        segment.score = UNLIKELY + 1
    assert len(offered(0, trace, "")) == 4


def test_a_part_without_the_head_stands_for_itself() -> None:
    [whole] = offers(Segment(first=4, last=6, kind="lines", text="\nhost is gone\nretrying", count=7, tokens=9))
    assert [part(whole, at, at + 1).segment.count for at in range(3)] == [1, 7, 1]
    assert part(whole, 0, 2).segment.count == 7

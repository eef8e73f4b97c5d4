"""What stands in an answer before any line."""

from __future__ import annotations

from tests.transforms.test_clues import offers
from tracewinnow.schemas.trace_pb2 import Segment
from tracewinnow.transforms import tokens
from tracewinnow.transforms.offers import told


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

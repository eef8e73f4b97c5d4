"""Where a reader goes on."""

from __future__ import annotations

import pytest

from tracewinnow.pipelines.positions import go_on


@pytest.mark.parametrize(
    ("offset", "low", "high", "wanted", "says"),
    [
        (5, 0, 9, 5, ""),
        (9, 0, 9, 9, ""),
        (5, 7, 9, 7, "2 records of t/3 (offsets 5 to 6) went from the broker unread"),
        (5, 0, 2, 0, "t/3 ends at 2, but was read up to 5"),
    ],
)
def test_where_to_go_on(
    caplog: pytest.LogCaptureFixture, offset: int, low: int, high: int, wanted: int, says: str
) -> None:
    assert go_on("t", 3, offset, low, high) == wanted
    assert says in caplog.text
    assert bool(says) == bool(caplog.text)

"""Large logs, piece by piece."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.schemas.trace_pb2 import Note, PreprocessedTrace
from tracewinnow.transforms import pieces, tokens
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.pieces import merged, traces, winnow_pieces
from tracewinnow.transforms.trace import Trace

CAUSE = "OSError: shard 7 is gone"
ROWS = [
    *(f"step {i} loss {9 / (i + 1):.3f}" for i in range(400)),
    CAUSE,
    *(f"step {i} loss 1.0" for i in range(400, 900)),
]
LOG = "\n".join(ROWS).encode()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SIZE", 4000)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120).map(lambda b: b.replace(b"\x00", b"\n")), st.integers(1, 40), st.integers(1, 30))
def test_pieces_hold_every_line_once(log: bytes, step: int, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "SIZE", size)
        chunks = [log[i : i + step] for i in range(0, len(log), step)]
        rows = [line for trace, _ in traces(chunks) for line in trace.lines]
        total = sum(trace.bytes_before for trace, _ in traces(chunks))
    text = log.decode("utf-8-sig" if log.startswith(b"\xef\xbb\xbf") else "utf8", "surrogateescape").replace(
        "\r\n", "\n"
    )
    expected = text.split("\n")
    if not expected[-1]:
        expected.pop()
    if step >= 3:  # a shorter first chunk may hide a byte order mark
        assert rows == expected
    assert total == len(log)


def test_many_lines_are_pieces_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LINES", 10)
    assert [len(trace.lines) for trace, _ in traces(["x\n" * 25])] == [10, 10, 5]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("budget", [1, 10, 30, 120, 2000])
def test_the_cause_comes_out_of_any_piece_within_the_budget(budget: int) -> None:
    result = winnow_pieces([LOG[i : i + 1000] for i in range(0, len(LOG), 1000)], Options(budget))
    assert result.tokens_after == tokens.count(result.text) <= budget
    if budget >= 30:
        assert CAUSE in result.text
    for segment in result.segments:
        assert segment.text.split("\n")[0] in "\n".join(ROWS[segment.first - 1 : segment.last])
    covered = [line for one in result.line_classes for line in range(one.first, one.last + 1)]
    assert covered == list(range(1, len(ROWS) + 1))
    assert sum(c.lines_kept + c.lines_dropped for c in result.classes) == len(ROWS) == result.lines_before
    assert result.bytes_before == len(LOG)
    assert "pieces" in result.notes[-1].reason
    assert abs(result.tokens_before / tokens.count(LOG.decode()) - 1) < 0.2


def test_one_piece_is_told_as_it_is() -> None:
    result = winnow_pieces([LOG], Options(100))
    assert not result.notes
    assert result.tokens_before == tokens.count(LOG.decode())


def test_the_class_hides_nothing_in_a_large_log() -> None:
    """A line that is alone among empty ones is taken for noise; it is all that there is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "LINES", 1000)
        result = winnow_pieces(["\n" * 1500 + CAUSE + "\n" * 1500], Options(budget=500))
    assert CAUSE in result.text


def test_only_the_last_piece_is_asked_how_the_run_ended(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    stage = pieces.preprocess

    def told(trace: Trace, options: Options) -> PreprocessedTrace:
        seen.append(trace.ends)
        result = stage(trace, options)
        assert ("outcome" in result.versions) == trace.ends
        return result

    monkeypatch.setattr(pieces, "preprocess", told)
    winnow_pieces([LOG[at : at + 1000] for at in range(0, len(LOG), 1000)], Options(budget=500))
    assert len(seen) > 1
    assert seen == [False] * (len(seen) - 1) + [True]


@pytest.mark.usefixtures("small")
def test_what_befell_a_later_piece_is_said_once() -> None:
    notes = [Note(stage="count", what="fallback", reason=f"{i} of 9") for i in range(3)]
    notes += [Note(stage="denoise", what="fallback", reason="no model")] * 2
    some = [PreprocessedTrace(notes=[note]) for note in notes]
    assert [note.reason for note in merged(some, Options(100)).notes[:-1]] == ["no model", "0 of 9"]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("budget", [1, 2, 3, 4, 6, 10])
def test_what_is_cut_is_stored_as_it_is_shown(budget: int) -> None:
    trouble = [f"Traceback {i}:\n  File a\nRuntimeError: shape mismatch of tensors in layer {i}" for i in range(200)]
    result = winnow_pieces(["\n".join(trouble)], Options(budget))
    assert len(result.segments) == 1 or budget > 8
    assert "pieces" in result.notes[-1].reason
    if len(result.segments) == 1 and not result.text.startswith("…"):
        [segment] = result.segments
        assert segment.text == result.text
        assert segment.tokens == result.tokens_after
        assert segment.last - segment.first == segment.text.count("\n")
    assert sum(one.lines_kept for one in result.classes) == sum(s.last - s.first + 1 for s in result.segments)

"""What a segment says that it stands for is true of it: how often it was said, and by which ranks."""

from __future__ import annotations

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.transforms.answer import answer
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.preprocess import preprocess
from tracewinnow.transforms.trace import Trace


def stored(lines: list[str], ranks: list[int] | None = None, budget: int = 2000) -> PreprocessedTrace:
    return preprocess(Trace(lines, ranks=ranks or [], job_id="j"), Options(300, store_tokens=budget))


def holding(trace: PreprocessedTrace, text: str) -> Segment:
    return next(one for one in trace.segments if text in one.text)


def test_a_line_of_another_block_does_not_take_the_count_of_one_that_was_repeated() -> None:
    again = [line for i in range(30) for line in (f"step {i}", f"RuntimeError: CUDA out of memory on device {i}")]
    lines = [
        "launch", "RuntimeError: CUDA out of memory on device 0", "RuntimeError: CUDA out of memory on device 77",
        "    OSError: disk quota exceeded on volume sda", "    OSError: cannot flush the buffer", *again,
    ]  # fmt: skip
    trace = stored(lines, budget=300)
    assert holding(trace, "disk quota").count == 1
    for budget in range(30, 120, 7):
        assert "sda ×" not in answer([trace], budget).text


def test_lines_of_several_ranks_name_all_of_them() -> None:
    steps = [f"step {i} loss {1 / (i + 1):.3f}" for i in range(400)]
    said = [f"ERROR: worker lost heartbeat after {r} seconds" for r in range(4)]
    trace = stored([*steps, *said], [i % 4 for i in range(400)] + [0, 1, 2, 3])
    found = [one for one in trace.segments if "heartbeat" in one.text]
    assert {rank for one in found for rank in one.ranks} == {0, 1, 2, 3}
    for one in found:
        assert one.count > 1 or len(one.ranks) == one.last - one.first + 1

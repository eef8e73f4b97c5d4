"""What a segment says that it stands for is true of it: how often it was said, and by which ranks."""

from __future__ import annotations

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.transforms.answer import answer
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.preprocess import preprocess
from tracewinnow.transforms.reading import name_of
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


CHAINED = [
    "Traceback (most recent call last):", '  File "/app/load.py", line 12, in fetch', "    sock = connect(host)",
    "ConnectionError: host a is gone", "", "During handling of the above exception, another exception occurred:", "",
    "Traceback (most recent call last):", '  File "/app/train.py", line 40, in main', "    fetch()",
]  # fmt: skip


def chained(times: int) -> list[str]:
    """Tracebacks of two exceptions, with blank lines between the two, which are twice as many."""
    lines = [
        line for i in range(times) for line in (*CHAINED, f"RuntimeError: no data, worker {i}", f"step {i} loss 0.{i}0")
    ]
    return [*lines, "process exited with code 1"]


def said_of_a_line(segment: Segment) -> str:
    return next((line for line in segment.text.split("\n") if line.strip()), "").partition("worker")[0]


def test_a_blank_line_lends_its_count_to_no_other() -> None:
    lines = chained(6)
    found = []
    for budget in range(60, 400, 20):
        for segment in preprocess(Trace(lines), Options(budget)).segments:
            if segment.count > 1 and (said := said_of_a_line(segment)) in "\n".join(CHAINED):
                assert segment.count == lines.count(said)
                assert segment.template != name_of(b"")
                found.append(segment.text.startswith("\n"))
    assert any(found)


def test_a_part_of_a_stored_segment_does_not_take_its_count() -> None:
    lines = chained(20)
    trace = stored(lines, budget=600)
    counts = set()
    for budget in (60, 100, 150, 300):
        for _, segment in answer([trace], budget).chosen:
            said = said_of_a_line(segment)
            if segment.count > 1 and said in "\n".join(CHAINED):
                counts.add(segment.count)
                assert segment.count == lines.count(said)
    assert counts

"""One answer over the traces of a job."""

from __future__ import annotations

import re

import pytest

from tracewinnow.schemas.errors import BadUse
from tracewinnow.schemas.trace_pb2 import JobState, PreprocessedTrace
from tracewinnow.transforms import tokens
from tracewinnow.transforms.answer import answer
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.preprocess import preprocess
from tracewinnow.transforms.trace import Trace

MINUTE = 60 * 10**9


def window(number: int, lines: list[str], outcome: str = "", revision: int = 1) -> PreprocessedTrace:
    start = 1_700_000_000 * 10**9 + number * MINUTE
    job = JobState(accelerator="gpu", model="sieve-7b", world_size=8, first_time_ns=start, last_time_ns=start + MINUTE)
    if outcome:
        job.outcome, job.exit_code, job.reason = outcome, 1, "OSError"
    result = preprocess(
        Trace(
            lines=lines, job_id="job-8", window_start_ns=start, window_end_ns=start + MINUTE, job=job, revision=revision
        ),
        Options(budget=300, store_tokens=2000),
    )
    result.trace_id = f"job-8/{start}/0"
    return result


def steps(first: int, count: int = 100) -> list[str]:
    return [f"step {i} loss {9 / (i + 1):.4f}" for i in range(first, first + count)]


@pytest.fixture
def job() -> list[PreprocessedTrace]:
    return [
        window(0, ["launcher 1.4", *steps(0)]),
        window(1, [*steps(100), "ERROR reader: shard 7 is gone, will stop at its turn", *steps(200)]),
        window(
            2,
            [*steps(300), "Traceback (most recent call last):", '  File "/a.py", line 3, in f', "OSError: shard 7"],
            "crashed",
        ),
    ]


def test_the_cause_from_every_window_with_a_header(job: list[PreprocessedTrace]) -> None:
    found = answer(job, 400)
    assert found.tokens == tokens.count(found.text) <= 400
    assert found.text.startswith("job job-8 crashed, exit code 1: OSError\n8 ranks; gpu; sieve-7b; 2023-11-14T")
    assert "shard 7 is gone" in found.text
    assert "OSError: shard 7" in found.text
    assert found.text.index("shard 7 is gone") < found.text.index(
        "OSError: shard 7\n" if "OSError: shard 7\n" in found.text else "in f"
    )
    assert "== window 2023-11-14T22:14:20Z" in found.text
    assert found.tokens_before == sum(trace.tokens_before for trace in job)
    assert {trace_id for trace_id, _ in found.chosen} <= {trace.trace_id for trace in job}


def test_a_crash_is_told_though_other_ranks_stopped_behind_it() -> None:
    stopped = window(3, ["done"], "stopped")
    stopped.job.exit_code = 0
    assert answer([window(2, ["OSError: no space left"], "crashed"), stopped], 200).text.startswith(
        "job job-8 crashed, exit code 1: OSError"
    )


def test_the_first_crash_is_told_though_a_later_one_has_an_exit_code() -> None:
    first, launcher = window(1, ["x"], "crashed"), window(2, ["y"], "crashed")
    first.job.ClearField("exit_code")
    first.job.reason, launcher.job.reason = "RuntimeError: CUDA error", "exit code 1"
    assert answer([first, launcher], 200).text.startswith("job job-8 crashed: RuntimeError: CUDA error")


def test_a_job_that_started_again_is_said() -> None:
    crashed, again = window(1, ["x"], "crashed"), window(5, ["y"])
    crashed.job.ended_ns = crashed.job.last_time_ns
    assert "started again" not in answer([crashed, again], 200).text
    again.job.started_ns = again.job.first_time_ns
    assert "it started again at 2023-11-14T22:18:20Z" in answer([crashed, again], 200).text


@pytest.mark.parametrize("budget", [100, 200, 400])
def test_holes_are_said_beside_a_long_reason(job: list[PreprocessedTrace], budget: int) -> None:
    job[-1].job.reason = "shard is gone " * 40
    assert "missing: rank 3: batches 5 to 9" in answer(job, budget, holes=["rank 3: batches 5 to 9"]).text
    assert "missing: 9 holes, first rank 3" in answer(job, budget, holes=["rank 3: batches 5 to 9"] * 9).text


HOLE = "batches 123 to 456 of a process without rank (0a1b2c3d) never came"
LONG = "llama3-8b-sft-2026-11-20-a100x8-run_" + "7f3a9c1e" * 40
NAMES = ["a", "byte-mlp-1121-080807", LONG[:44], LONG[:128], LONG[:288], "訓練" * 60, "🦙" * 256]


@pytest.mark.parametrize("holes", [[], [HOLE] * 12], ids=["no hole", "holes"])
@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{len(name.encode())} bytes")
def test_holes_and_gaps_are_said_whatever_the_job_is_called(name: str, holes: list[str]) -> None:
    reason = (
        "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 39.59 GiB total capacity; 37.21 GiB used)"
    )
    traces = [
        window(0, steps(0, 50)),
        window(1, [*steps(50, 5), "Traceback (most recent call last):", reason], "crashed"),
    ]
    for trace in traces:
        trace.job_id, trace.job.reason = name, reason
    for budget in (*range(100, 150), *range(150, 301, 10)):
        text = answer(traces, budget, holes=holes).text
        assert tokens.count(text) <= budget
        assert text.startswith(f"job {name[:3]}" if len(name) > 2 else f"job {name}")
        assert re.search(r"^….*\d", text, re.M), (budget, text)
        assert not holes or HOLE in text, (budget, text)


def test_a_long_name_leaves_room_for_the_reason(job: list[PreprocessedTrace]) -> None:
    for trace in job:
        trace.job_id = "llama3-8b-sft-" + "7f3a9c1e" * 120
    text = answer(job, 200, holes=[HOLE]).text
    assert text.startswith("job llama3-8b-sft-7f3a9c1e7f3a9c1e7f3a9c1e7… crashed, exit code 1: OSError\nmissing: ")


def test_a_hole_is_said_where_no_trace_can_be_read() -> None:
    lost = "window 2023-11-14T22:13:20Z cannot be read"
    assert answer([], 100, holes=[lost]).text == f"no trace of this job is stored\nmissing: {lost}"


@pytest.mark.parametrize("budget", [1, 2, 5, 10, 20, 40, 80, 160, 1000, 100_000])
def test_never_more_than_the_budget(job: list[PreprocessedTrace], budget: int) -> None:
    assert tokens.count(answer(job, budget, holes=["rank 3: batches 5 to 9"] * 9).text) <= budget


def test_any_order_same_answer_and_the_highest_revision_counts(job: list[PreprocessedTrace]) -> None:
    old = window(2, steps(300), revision=0)
    assert answer([old, *reversed(job)], 400) == answer(job, 400)


def test_holes_are_said(job: list[PreprocessedTrace]) -> None:
    assert "missing: rank 3: batches 5 to 9" in answer(job, 400, holes=["rank 3: batches 5 to 9"]).text


def test_the_query_draws_segments(job: list[PreprocessedTrace]) -> None:
    job[0] = window(0, ["launcher 1.4", *steps(0), "tokenizer vocabulary reloaded", *steps(50)])
    assert "tokenizer vocabulary reloaded" in answer(job, 250, query="tokenizer vocabulary").text


def test_every_window_is_accounted_for(job: list[PreprocessedTrace]) -> None:
    text = answer(job, 1000).text
    assert all(f"22:1{minute}:20Z" in text for minute in (3, 4, 5))
    shown = answer([*job, *(window(number, steps(0)) for number in range(3, 30))], 300).text
    assert re.search(r"…2023-11-14T22:\d\d:20Z to 22:4\d:20Z: \d+ lines of \d+ windows", shown)


def test_parts_of_a_window_are_one_window(job: list[PreprocessedTrace]) -> None:
    def parts(number: int, count: int) -> list[PreprocessedTrace]:
        found = [window(number, steps(0, 10)) for _ in range(count)]
        for part, trace in enumerate(found):
            trace.part = part
        return found

    text = answer([*parts(0, 4), job[2]], 120).text
    assert "…2023-11-14T22:13:20Z to part 3: 40 lines of 1 window in 4 parts" in text
    text = answer([*parts(0, 3), *parts(1, 1), job[2]], 120).text
    assert "…2023-11-14T22:13:20Z to 22:14:20Z: 40 lines of 2 windows in 4 parts" in text


def test_no_trace() -> None:
    assert answer([], 100).text == "no trace of this job is stored"


def test_a_budget_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadUse, match="budget"):
        answer([], 0)

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


def test_no_trace() -> None:
    assert answer([], 100).text == "no trace of this job is stored"


def test_a_budget_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadUse, match="budget"):
        answer([], 0)

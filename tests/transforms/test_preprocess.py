"""The stages over traces of jobs: events, numbers, ranks, and what is stored for later."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.schemas.trace_pb2 import JobState
from tracewinnow.transforms import tokens
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.preprocess import goes_on, preprocess
from tracewinnow.transforms.trace import Series, SpanSummary, SparseSummary, Trace

SECOND = 10**9


def series(name: str, statistic: str = "metric", rank: int = 0, bad: bool = False) -> Series:
    values = 2 + np.sin(np.arange(50.0))
    if bad:
        values[42:] = np.nan
    return Series(name, statistic, rank, np.arange(50), values, np.arange(50) * SECOND)


def trace(accelerator: str = "gpu", ranks: int = 4) -> Trace:
    lines, who, levels, events = ["job started: python train.py"], [-1], [0], ["start"]
    for step in range(300):
        for rank in range(ranks):
            lines.append(f"step {step} loss {1 / (step + 1):.3f}")
            who.append(rank)
            levels.append(20)
            events.append("")
    lines += ["loader: shard 7 is gone"] * ranks + ["job crashed: exit code 1, FileNotFoundError: shard 7"]
    who += [*range(ranks), -1]
    levels += [40] * ranks + [0]
    events += [""] * ranks + ["crash"]
    return Trace(
        lines=lines,
        times_ns=[1_700_000_000 * SECOND + i * SECOND for i in range(len(lines))],
        ranks=who,
        levels=levels,
        events=events,
        series=[
            series("loss", bad=True),
            *(series(f"layers.{i}", "grad_norm") for i in range(48)),
            series("cuda:0", "memory_used"),
        ],
        spans=[SpanSummary("load", "cpu", 300, 9 * SECOND, SECOND, 5, 1, ["FileNotFoundError: shard 7"])],
        sparse=[SparseSummary("relu", 10, 0.4, 0.1)],
        numeric_events=2500,
        job_id="job-1",
        window_start_ns=1_700_000_000 * SECOND,
        window_end_ns=1_700_000_300 * SECOND,
        revision=3,
        accelerator=accelerator,
        bytes_before=123_456,
        job=JobState(accelerator=accelerator, outcome="crashed", exit_code=1),
    )


def test_the_crash_the_numbers_and_the_cause_stand_in_the_text() -> None:
    result = preprocess(trace(), Options(budget=400))
    assert "job crashed: exit code 1" in result.text
    assert "NaN from step 42" in result.text
    assert "loader: shard 7 is gone ×4 ranks 0-3" in result.text
    assert result.tokens_after == tokens.count(result.text) <= 400
    assert list(result.route) == ["denoise", "compress", "rank"]
    assert result.events_before == len(trace().lines) + 2500
    assert (result.job_id, result.revision, result.bytes_before) == ("job-1", 3, 123_456)
    assert result.job.outcome == "crashed"
    assert set(result.versions) == {"tracewinnow", "stages", "tokenizer", "denoiser", "harmless", "encoder"}


def test_segments_carry_times_and_ranks() -> None:
    result = preprocess(trace(), Options(budget=400))
    [segment] = [s for s in result.segments if "shard 7 is gone" in s.text]
    assert list(segment.ranks) == [0, 1, 2, 3]
    assert segment.count == 4
    assert segment.last_time_ns - segment.first_time_ns == 3 * SECOND
    numbers = [s for s in result.segments if s.kind in ("series", "memory", "spans", "sparse")]
    assert all(s.first == s.last == 0 for s in numbers)
    assert sum(s.events for s in numbers if s.kind == "series") == 49 * 50


def test_jobs_on_cpus_skip_the_numbers_and_say_so() -> None:
    result = preprocess(trace("cpu"), Options(budget=400))
    assert list(result.route) == ["denoise", "rank"]
    assert [(note.stage, note.what) for note in result.notes] == [("compress", "skipped")]
    assert "NaN" not in result.text
    assert "shard 7 is gone" in result.text


@pytest.mark.parametrize("budget", [1, 5, 24, 30, 100, 1000])
def test_numbers_never_break_the_budget(budget: int) -> None:
    assert tokens.count(preprocess(trace(), Options(budget=budget)).text) <= budget


def test_numbers_alone_fill_the_budget() -> None:
    only = trace()
    only.lines, only.times_ns, only.ranks, only.levels, only.events = [], [], [], [], []
    result = preprocess(only, Options(budget=200))
    assert "NaN from step 42" in result.text
    assert "48 × grad_norm" in result.text
    assert not result.line_classes


def test_more_is_stored_than_printed_and_sampled_noise_carries_its_probability() -> None:
    job = trace(ranks=1)
    job.lines[1:1] = [f"downloading shard {i} of 900" for i in range(900)]
    job.times_ns, job.ranks, job.levels, job.events = [], [], [], []
    small = preprocess(job, Options(budget=100))
    stored = preprocess(job, Options(budget=100, store_tokens=1000))
    assert stored.text == small.text
    assert len(stored.segments) > len(small.segments)
    noise = [s for s in stored.segments if s.label == "noise"]
    assert noise[0].first == 2
    assert {round(s.keep_probability, 4) for s in noise} <= {1.0, round(4 / 900, 4), round(4 / 300, 4)}
    assert len(noise) < 50


def test_harmless_errors_of_a_run_that_went_well_are_noise() -> None:
    job = trace()
    job.events, job.job = [], JobState(outcome="stopped", exit_code=0)
    labels = {one.label for one in preprocess(job, Options(budget=300)).line_classes}
    assert "actionable" not in labels
    assert "noise" in labels
    job.lines[40] = "step 40: loss is nan"
    found = preprocess(job, Options(budget=300)).segments
    assert [one.label for one in found if "nan" in one.text] == ["actionable"]


def test_same_trace_same_bytes() -> None:
    def run() -> bytes:
        result = preprocess(trace(), Options(budget=300, store_tokens=2000, query="shard"))
        result.seconds.clear()
        return result.SerializeToString(deterministic=True)

    assert run() == run()


def test_a_large_trace_says_that_its_tokens_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracewinnow.transforms.account.EXACT", 1000)
    trace = preprocess(Trace(lines=[f"step {i} of the run" for i in range(200)]), Options(budget=200))
    assert [note.stage for note in trace.notes if "estimated" in note.reason] == ["count"]


@pytest.mark.parametrize(
    ("outcome", "expected"), [("", True), ("stopped", False), ("crashed", False), ("imported", False)]
)
def test_a_job_goes_on_until_it_ended_and_a_file_is_whole(outcome: str, expected: bool) -> None:
    assert goes_on(Trace(["x"], job_id="job", job=JobState(outcome=outcome))) is expected
    assert not goes_on(Trace(["x"], job=JobState(outcome=outcome)))

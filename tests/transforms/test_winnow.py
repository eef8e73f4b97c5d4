"""One log, in and out: the budget, the account, and hostile input."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracewinnow
from tracewinnow.schemas.errors import BadUse
from tracewinnow.transforms import tokens

CAUSE = "RuntimeError: shape mismatch: expected (32, 128), found (32, 64)"


def job(steps: int = 2000, ranks: int = 1) -> str:
    """A training job that dies at its end, each rank with the same traceback."""
    rows = ["launcher 1.4.2", "batch_size: 32", *(f"step {i} loss {9 / (i + 1):.4f} lr 3e-4" for i in range(steps))]
    for rank in range(ranks):
        mark = f"[rank{rank}]: " if ranks > 1 else ""
        rows += [
            f"{mark}{row}"
            for row in (
                "Traceback (most recent call last):",
                '  File "/opt/app/train.py", line 61, in main',
                "    out = head(x)",
                CAUSE,
            )
        ]
    rows += [f"worker {i} received SIGTERM, shutting down" for i in range(ranks)]
    return "\n".join([*rows, "process exited with code 1"]) + "\n"


LOGS = st.one_of(
    st.binary(max_size=400),
    st.lists(
        st.sampled_from(
            [
                "Error: x",
                "",
                "  at f (a.js:1:2)",
                "step 1",
                "é" * 40,
                "a" * 300,
                "\t",
                "\x1b[31mFAILED\x1b[0m",
                "1/2\r2/2",
            ]
        ),
        max_size=60,
    ).map("\n".join),
)


@settings(max_examples=150, deadline=None)
@given(LOGS, st.integers(1, 120))
def test_never_more_than_the_budget_and_every_line_has_a_class(log: str | bytes, budget: int) -> None:
    trace = tracewinnow.winnow(log, budget=budget)
    assert tokens.count(trace.text) <= budget
    assert trace.tokens_after == tokens.count(trace.text)
    covered = [line for one in trace.line_classes for line in range(one.first, one.last + 1)]
    assert covered == list(range(1, trace.lines_before + 1))
    assert sum(one.lines_kept + one.lines_dropped for one in trace.classes) == trace.lines_before


@pytest.mark.parametrize("budget", [1, 2, 3, 7, 20, 25, 60, 150, 299, 300, 1000, 50_000])
def test_budgets(budget: int) -> None:
    trace = tracewinnow.winnow(job(), budget=budget)
    assert trace.tokens_after <= budget
    if budget >= 60:
        assert CAUSE in trace.text


def test_a_small_log_comes_through_whole() -> None:
    text = "starting\nError: no such file: a.bin"
    assert tracewinnow.winnow(text, budget=200).text == text


def test_segments_are_what_the_text_holds() -> None:
    log = job()
    rows = log.split("\n")
    trace = tracewinnow.winnow(log, budget=400)
    assert trace.segments[-1].last <= trace.lines_before
    for segment in trace.segments:
        assert segment.text.split("\n") == rows[segment.first - 1 : segment.last]
        assert all(row in trace.text for row in segment.text.split("\n"))
        assert segment.tokens == tokens.count(segment.text)
        assert re.fullmatch("[0-9a-f]{16}", segment.template)
        assert segment.label in ("actionable", "context", "metadata", "noise")
        assert 0 < segment.confidence < 1
        assert 0 < segment.keep_probability <= 1
    assert [s.first for s in trace.segments] == sorted(s.first for s in trace.segments)


def test_every_gap_is_marked_with_its_lines() -> None:
    trace = tracewinnow.winnow(job(), budget=400)
    kept = sum(s.last - s.first + 1 for s in trace.segments)
    gone = sum(int(b or a) - int(a) + 1 for a, b in re.findall(r"^…(\d+)(?:-(\d+))?$", trace.text, re.M))
    assert kept + gone == trace.lines_before


def test_eight_ranks_are_one_piece_of_evidence() -> None:
    trace = tracewinnow.winnow(job(ranks=8), budget=200)
    assert f"[rank0]: {CAUSE}" in trace.text
    assert trace.text.count(CAUSE) == 1
    assert "ranks 0-7" in trace.text
    [segment] = [s for s in trace.segments if CAUSE in s.text]
    assert list(segment.ranks) == list(range(8))
    assert segment.count == 8


def test_the_last_progress_before_the_end_is_shown() -> None:
    assert "step 1999 loss" in tracewinnow.winnow(job(), budget=300).text


def test_the_query_draws_lines() -> None:
    log = job().replace("step 700 ", "reloading tokenizer because the vocabulary changed\nstep 700 ")
    asked = tracewinnow.winnow(log, budget=150, query="did the tokenizer vocabulary change?")
    assert "reloading tokenizer" in asked.text
    assert asked.query.startswith("did the")


def test_a_healthy_run_tells_which_errors_are_harmless() -> None:
    harmless = ["ERROR profiler: cannot open the trace device, going on without"] * 3
    good = "\n".join(harmless + [f"step {i} loss 1" for i in range(50)])
    bad = "\n".join(harmless + [f"step {i} loss 1" for i in range(50)] + ["ERROR reader: shard 7 is gone"])
    trace = tracewinnow.winnow(bad, budget=60, reference=good)
    assert "shard 7 is gone" in trace.text
    assert "profiler" not in trace.text
    assert trace.line_classes[0].label == "noise"


def test_same_input_same_bytes() -> None:
    def run() -> bytes:
        trace = tracewinnow.winnow(job(ranks=4), budget=500, query="loss")
        assert set(trace.seconds) == {"denoise", "compress", "rank", "count"}
        trace.seconds.clear()
        return trace.SerializeToString(deterministic=True)

    assert run() == run()


def test_the_address_hangs_on_input_and_options() -> None:
    addresses = {
        tracewinnow.winnow(log, budget=budget, query=query, reference=reference).content_address
        for log in ("a", "b") for budget in (5, 6) for query in ("", "x") for reference in (None, "c")
    }  # fmt: skip
    assert len(addresses) == 16


@pytest.mark.parametrize("budget", [0, -1, 10**9, True, 1.5])
def test_a_budget_that_cannot_be_is_refused(budget: int) -> None:
    with pytest.raises(BadUse, match="budget"):
        tracewinnow.winnow("x", budget=budget)


@pytest.mark.parametrize("log", ["", b"", "\n", "\n" * 5000, "x", b"\x00\xff" * 3000, "\ufeff", "\r\r\r"])
def test_odd_logs(log: str | bytes) -> None:
    trace = tracewinnow.winnow(log, budget=50)
    assert trace.tokens_after <= 50
    trace.text.encode("utf8")


def test_utf16_is_read_and_said() -> None:
    trace = tracewinnow.winnow("ok\nError: größer\n".encode("utf-16"), budget=50)
    assert "Error: größer" in trace.text
    assert [note.reason for note in trace.notes if note.stage == "read"] == ["decoded from UTF-16"]


def test_a_very_long_line_is_bounded_and_says_so() -> None:
    log = "step 1\n" + "Error: " + "x" * 3_000_000 + "\nstep 2"
    trace = tracewinnow.winnow(log, budget=500)
    assert "Error: xxx" in trace.text
    assert "characters" in trace.text
    assert trace.tokens_after <= 500


def test_random_bytes_of_any_kind() -> None:
    rng = random.Random(4)
    for size in (1, 10, 1000, 100_000):
        assert tracewinnow.winnow(rng.randbytes(size), budget=80).tokens_after <= 80


@pytest.mark.parametrize("budget", [9, 15, 23, 24, 100])
def test_what_fits_whole_is_shown_whole_under_the_smallest_budget(budget: int) -> None:
    text = "starting\nError: disk full\nbye"
    trace = tracewinnow.winnow(text, budget=budget)
    assert trace.text == text
    assert sum(one.lines_kept for one in trace.classes) == 3


def test_under_a_small_budget_gaps_are_marked_where_they_fit() -> None:
    lines = ["starting", *(f"step {i}" for i in range(30)), "Error: disk full", "bye"]
    assert tracewinnow.winnow("\n".join(lines), budget=16).text == "…1-31\nError: disk full\n…33"
    assert tracewinnow.winnow("\n".join(lines), budget=4).text == "Error: disk full"
    assert tracewinnow.winnow("\n".join(lines), budget=3).text == "Error:…"


def test_under_a_small_budget_the_likeliest_line_gives_way_to_no_shorter_one() -> None:
    cause = "RuntimeError: shape mismatch: expected three by five by seven, found one"
    for budget in range(3, 24):
        text = tracewinnow.winnow("\n".join([*["fine"] * 40, cause, *["fine"] * 40]), budget=budget).text
        assert "RuntimeError" in text
        assert cause in text or text.endswith("…")


def test_half_a_pair_in_the_workload_does_no_harm() -> None:
    assert tracewinnow.winnow("x", workload="a \ud800").versions["workload"] == "a \ufffd"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"text": None}, "text is of type NoneType"),
        ({"text": ["a", "b"]}, "text is of type list"),
        ({"text": "a", "query": 5}, "query is of type int"),
        ({"text": "a", "workload": 3}, "workload is of type int"),
        ({"text": "a", "reference": 5}, "reference is the text"),
        ({"text": "a", "reference": [5]}, "reference is the text"),
    ],
)
def test_an_argument_of_another_type_is_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(BadUse, match=named):
        tracewinnow.winnow(**arguments)

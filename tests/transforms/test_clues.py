"""What segments say about one another, on jobs that were made up."""

from __future__ import annotations

from tracewinnow.schemas.trace_pb2 import JobState, PreprocessedTrace, Segment
from tracewinnow.transforms.clues import differing, spoken_of, things, weighed
from tracewinnow.transforms.offers import Offer

SECOND = 10**9


def line(
    number: int,
    text: str,
    rank: int = -1,
    score: float = 2.0,
    label: str = "actionable",
    template: str = "",
    count: int = 1,
) -> Segment:
    return Segment(
        first=number, last=number, kind="lines", label=label, score=score, template=template or text[:16], count=count,
        ranks=[rank] if rank >= 0 else [], tokens=len(text) // 4 + 1, text=text,
        first_time_ns=number * SECOND, last_time_ns=number * SECOND,
    )  # fmt: skip


def trace(*segments: Segment, reason: str = "", window: int = 1) -> PreprocessedTrace:
    job = JobState(reason=reason, first_time_ns=SECOND, last_time_ns=1000 * SECOND)
    return PreprocessedTrace(
        trace_id=f"j/{window}/0", job_id="j", window_start_ns=window, lines_before=1000, segments=segments, job=job
    )


def value(found: list[Offer], text: str) -> float:
    return max((offer.value for offer in found if text in offer.segment.text), default=-99.0)


def test_the_line_that_names_what_is_missing_is_found_in_the_noise_of_another_window() -> None:
    early = trace(
        line(5, "cleaner: removing part-0007.arrow to make room", score=-6, label="noise", template="rare"),
        line(6, "cleaner: slept", score=-6, label="noise"),
        line(7, "opened part-0007.arrow", score=-6, label="noise", template="often", count=400),
    )
    late = trace(line(9, "OSError: gone"), reason="OSError: /mnt/x/part-0007.arrow is gone", window=2)
    found, _ = weighed([early, late])
    assert value(found, "removing part-0007") > 2
    assert value(found, "opened part-0007") < 0
    assert value(found, "slept") == -99


def test_of_a_block_only_the_line_that_names_it_is_offered() -> None:
    block = Segment(
        first=1,
        last=3,
        kind="block",
        label="context",
        score=-3,
        text="{\n  data: part-0007.arrow\n}",
        tokens=9,
        count=1,
    )
    found, _ = weighed([trace(block, reason="OSError: part-0007.arrow")])
    assert any(offer.segment.text == "  data: part-0007.arrow" and offer.segment.first == 2 for offer in found)


def test_a_rare_line_in_the_moment_of_the_first_jump_is_found() -> None:
    series = Segment(
        kind="series",
        label="actionable",
        score=4,
        text="lr steps 1-9: 1 → 50",
        first_time_ns=40 * SECOND,
        last_time_ns=42 * SECOND,
    )
    later = Segment(
        kind="series",
        label="actionable",
        score=4,
        text="loss: NaN",
        first_time_ns=60 * SECOND,
        last_time_ns=61 * SECOND,
    )
    found, _ = weighed(
        [
            trace(
                line(41, "phase two begins", score=-6, label="noise"),
                line(30, "phase one begins", score=-6, label="noise"),
                line(60, "phase three begins", score=-6, label="noise"),
                series,
                later,
            )
        ]
    )
    assert value(found, "phase two") > 2
    assert value(found, "phase one") == value(found, "phase three") == -99


def test_things_are_names_not_words_or_numbers() -> None:
    assert things("a.b.SomeError: cannot open '/mnt/set/part-0007.arrow' on host gpu-node-17: errno 2, 1000 times") == [
        "part-0007.arrow", "gpu-node-17"
    ]  # fmt: skip
    assert things("killed by SIGKILL") == []


def offers(*segments: Segment) -> list[Offer]:
    return [Offer(0, segment, segment.score, segment.tokens) for segment in segments]


def test_the_rank_that_all_chains_end_at() -> None:
    ring = [
        line(1, "timed out waiting for rank 3", 0),
        line(2, "rank 2: timed out waiting for rank 1", 2),
        line(3, "timed out waiting for rank 0", 1),
    ]
    assert spoken_of(offers(*ring)) == 3
    assert spoken_of(offers(*ring, line(4, "lost rank 2", 3))) == -1
    assert spoken_of(offers(*ring, line(4, "lost rank 5", 1))) == -1  # two that name nobody: no verdict
    assert spoken_of(offers(line(1, "rank 4 failed", 4))) == -1
    assert spoken_of(offers(line(1, "waiting for rank 2"))) == -1  # nobody knows who said it


def test_what_the_suspect_says_counts_more_and_the_others_less() -> None:
    found, suspect = weighed(
        [
            trace(
                line(1, "error: waiting for rank 3", 0),
                line(2, "error: waiting for rank 3", 1),
                line(3, "error: cannot read cache", 3),
            )
        ]
    )
    assert suspect == 3
    assert value(found, "cache") > 2 > value(found, "waiting")


def test_what_a_launcher_says_of_the_suspect_counts_more() -> None:
    others = [line(1, "error: waiting for rank 3", 0), line(2, "error: waiting for rank 3", 1)]
    exits = [
        line(3, "[launcher] rank 0 exited with code 1"),
        line(4, "[launcher] rank 3 exited with code -9"),
        line(5, "  rank      : 3 (local_rank: 3)\n  error     : Signal 9"),
        line(6, "  rank      : 31 (local_rank: 7)\n  error     : none"),
    ]
    found, _ = weighed([trace(*others, *exits)])
    assert (
        value(found, "code -9") == value(found, "Signal 9") > value(found, "code 1") == value(found, "error     : none")
    )


def test_the_line_that_differs_from_what_the_others_agree_on() -> None:
    def stuck(rank: int, step: int) -> Segment:
        return line(rank + 1, f"1{rank}:00 watchdog caught timeout seq={step} after {rank}7 s", rank, template="same")

    assert differing(offers(*(stuck(rank, 11 if rank == 2 else 12) for rank in range(4)))) == {(2,): {"same"}}
    assert differing(offers(*(stuck(rank, 12) for rank in range(4)))) == {}
    assert differing(offers(*(stuck(rank, rank) for rank in range(4)))) == {}
    assert differing(offers(stuck(0, 11), stuck(1, 12))) == {}


def test_what_is_said_all_the_time_counts_less() -> None:
    found, _ = weighed([trace(line(1, "refused again", 0, count=64), line(2, "refused once", 0))])
    assert value(found, "once") - value(found, "again") > 1


def test_what_the_suspect_alone_printed_is_found_in_the_noise() -> None:
    lines = [
        line(1, "cache limit 4 set by environment", 3, score=-6, label="noise"),
        line(2, "loader ready", 3, score=-6, label="noise", template="ready"),
        line(3, "loader ready", 0, score=-6, label="noise", template="ready"),
        line(4, "error: waiting for rank 3", 0),
        line(5, "error: waiting for rank 3", 1),
    ]
    found, _ = weighed([trace(*lines)])
    assert value(found, "cache limit") > 2
    assert value(found, "ready") == -99
    many = [line(10 + i, f"special {chr(97 + i)}", 3, score=-6, label="noise") for i in range(20)]
    assert value(weighed([trace(*lines, *many)])[0], "cache limit") == -99

"""A stage that fails: a dead letter that can be written, and is counted."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import pytest

from tracewinnow.pipelines.run import run_here
from tracewinnow.transforms import dofns
from tracewinnow.transforms.dofns import Stages, sayable, stage_letter
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.trace import Trace
from tracewinnow.transforms.work import Work


def test_words_of_an_error_may_hold_any_bytes() -> None:
    trace = Trace(["caf\udce9"], job_id="j")
    letter = stage_letter(trace, "Denoise", ValueError(f"cannot read {trace.lines[0]}"))
    assert letter.reason.startswith("ValueError: cannot read caf\\udce9; the raw batches are in the archive")
    assert sayable("größer 損失") == "größer 損失"
    assert len(sayable("x" * 10_000_000)) == 1000


@pytest.mark.parametrize("stage", ["denoise_stage", "compress_stage", "rank_stage"])
def test_each_failure_of_a_stage_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stage: str) -> None:
    real = getattr(dofns, stage)

    def fails(element: Trace | Work, **options: Options) -> object:
        trace = element if isinstance(element, Trace) else element.trace
        if trace.job_id == "bad":
            raise ValueError(f"cannot read {trace.lines[0]}")
        return real(element, **options)

    monkeypatch.setattr(dofns, stage, fails)
    told = tmp_path / "letters"

    def construct(pipeline: beam.Pipeline) -> None:
        traces = [Trace(["caf\udce9"], job_id=job) for job in ("bad", "good", "bad")]
        source = pipeline | beam.Impulse() | beam.FlatMap(lambda impulse: traces).with_output_types(Trace)
        staged = source | "Stages" >> Stages(Options(budget=100))
        letters = tuple(staged.failed) | beam.Flatten()
        _ = letters | beam.Map(lambda letter: told.open("a").write(f"{letter.code}\n"))

    assert run_here(construct)["dead_letters"] == 2
    assert told.read_text().split() == ["stage-failed", "stage-failed"]

"""Beam around the three stages. A stage that fails on a trace costs that trace a dead letter, and nobody else anything."""

from __future__ import annotations

import functools
import logging
import pickle
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import PickleCoder, coder_impl, registry
from apache_beam.metrics import Metrics

from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.errors import Transient
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.preprocess import compress_stage, denoise_stage, rank_stage
from tracewinnow.transforms.trace import Trace
from tracewinnow.transforms.work import Work
from tracewinnow.version import VERSION

LOG = logging.getLogger(__name__)
FAILED = "failed"
WORDS = 1000  # characters of what an error says, in a dead letter


class HandedOn(PickleCoder):
    """Of what passes between fused steps. Beam samples the sizes of elements by encoding them: for these, milliseconds each."""

    def _create_impl(self) -> coder_impl.CallbackCoderImpl:
        return coder_impl.CallbackCoderImpl(pickle.dumps, pickle.loads, lambda element: 1)

    def to_type_hint(self) -> Any:
        return Any


registry.register_coder(Trace, HandedOn)
registry.register_coder(Work, HandedOn)


class Staged(NamedTuple):
    """done: PreprocessedTrace; failed: DeadLetter, an output a stage."""

    done: beam.PCollection
    failed: list[beam.PCollection]


class StageFn(beam.DoFn):
    """One stage around its plain function; a trace on which it fails goes to the output `failed` as a dead letter."""

    def __init__(self, stage: str, run: Callable[[Any], Any]) -> None:
        self.stage = stage
        self.run = run
        self.dead = Metrics.counter("tracewinnow", "dead_letters")

    def process(self, element: Trace | Work) -> Iterator[Any]:
        try:
            yield self.run(element)
        except (Transient, MemoryError):
            raise
        except Exception as failed:
            trace = element if isinstance(element, Trace) else element.trace
            LOG.exception("%s failed on %s/%d", self.stage, trace.job_id, trace.window_start_ns)
            self.dead.inc()
            yield beam.pvalue.TaggedOutput(FAILED, stage_letter(trace, self.stage, failed))


def sayable(words: str) -> str:
    """As a dead letter can hold it: not too long, and bytes of a log that are no UTF-8 as `\\udce9`, for a string has none."""
    return words[:WORDS].encode("utf-8", "backslashreplace").decode()


def stage_letter(trace: Trace, stage: str, failed: Exception) -> DeadLetter:
    """Names the window whose raw lines stand in the archive: they are built again by `tracewinnow rebuild`."""
    return DeadLetter(
        topic=f"archive/{trace.job_id}/{trace.window_start_ns}",
        partition=trace.part,
        stage=stage,
        code="stage-failed",
        reason=f"{type(failed).__name__}: {sayable(str(failed))}; the raw batches are in the archive, "
        f"`tracewinnow rebuild --job {trace.job_id}` tries again",
        version=VERSION,
        time_ns=trace.window_start_ns,
    )


class Stages(beam.PTransform):
    """Trace -> Staged. The three steps fuse on every runner: what passes between them is never encoded."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options

    def expand(self, traces: beam.PCollection) -> Staged:
        denoise = functools.partial(denoise_stage, options=self.options)
        denoised = traces | "Denoise" >> beam.ParDo(StageFn("Denoise", denoise)).with_outputs(FAILED, main="done")
        denoised.done.element_type = Work
        compressed = denoised.done | "Compress" >> beam.ParDo(StageFn("Compress", compress_stage)).with_outputs(
            FAILED, main="done"
        )
        compressed.done.element_type = Work
        ranked = compressed.done | "Rank" >> beam.ParDo(StageFn("Rank", rank_stage)).with_outputs(FAILED, main="done")
        return Staged(ranked.done, [denoised[FAILED], compressed[FAILED], ranked[FAILED]])

"""Beam around the three stages. A stage that fails on a trace costs that trace a dead letter, and nobody else anything."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam

from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.errors import Transient
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.preprocess import preprocess
from tracewinnow.transforms.trace import Trace
from tracewinnow.version import VERSION

LOG = logging.getLogger(__name__)
FAILED = "failed"


class Staged(NamedTuple):
    """done: PreprocessedTrace; failed: DeadLetter."""

    done: beam.PCollection
    failed: beam.PCollection


class PreprocessFn(beam.DoFn):
    def __init__(self, options: Options) -> None:
        self.options = options

    def process(self, trace: Trace) -> Iterator[Any]:
        try:
            yield preprocess(trace, self.options)
        except (Transient, MemoryError):
            raise
        except Exception as failed:
            LOG.exception("the stages failed on %s/%d", trace.job_id, trace.window_start_ns)
            yield beam.pvalue.TaggedOutput(FAILED, stage_letter(trace, "Preprocess", failed))


def stage_letter(trace: Trace, stage: str, failed: Exception) -> DeadLetter:
    """Names the window whose raw lines stand in the archive: they are built again by `tracewinnow rebuild`."""
    return DeadLetter(
        topic=f"archive/{trace.job_id}/{trace.window_start_ns}",
        partition=trace.part,
        stage=stage,
        code="stage-failed",
        reason=f"{type(failed).__name__}: {failed}; the raw batches are in the archive, "
        f"`tracewinnow rebuild --job {trace.job_id}` tries again",
        version=VERSION,
        time_ns=trace.window_start_ns,
    )


class Stages(beam.PTransform):
    """Trace -> Staged."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options

    def expand(self, traces: beam.PCollection) -> Staged:
        staged = traces | "Preprocess" >> beam.ParDo(PreprocessFn(self.options)).with_outputs(FAILED, main="done")
        return Staged(staged.done, staged[FAILED])

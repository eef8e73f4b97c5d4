"""Runs in this process."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.runners.worker.statesampler import StateSampler
from apache_beam.utils.counters import CounterFactory

from tracewinnow.pipelines.run import SAMPLED_MS, run_here


def test_no_run_waits_for_the_sampler_of_states() -> None:
    """What is set is private to Beam: this says when another version has it elsewhere."""
    assert StateSampler("any", CounterFactory()).sampling_period_ms == SAMPLED_MS


def test_counters_are_summed_by_name() -> None:
    def count(element: int) -> None:
        beam.metrics.Metrics.counter("tracewinnow", "seen").inc(element)

    def construct(pipeline: beam.Pipeline) -> None:
        for name in ("One", "Other"):
            _ = pipeline | f"Create{name}" >> beam.Create([1, 2, 3]) | f"Count{name}" >> beam.Map(count)

    assert run_here(construct) == {"seen": 12}

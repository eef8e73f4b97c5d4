"""Runs a graph: in this process for one machine, or submitted to another runner."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tracewinnow.schemas.errors import BadUse, TracewinnowError

RUNNERS = {
    "flink": ["--runner=PortableRunner", "--streaming"],
    "prism": ["--runner=PrismRunner", "--streaming"],
    "dataflow": ["--runner=DataflowRunner", "--streaming"],
}


def run_here(construct: Callable[[beam.Pipeline], None]) -> dict[str, int]:
    """Run a bounded graph in this process, and return its counters by name. Blocks until it is done.

    Named on purpose: Beam's default choice would first try to download another runner. Raises what a step raised.
    """
    # One line about each missing cloud library and each pipeline option is no news to the reader of a progress bar.
    # What a step raises is raised here, so its traceback in the log is no news either.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    # Given explicitly, or Beam would take the flags of whatever program we run in for its own.
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    construct(pipeline)
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except Exception as failed:
        # Beam raises a copy with the step's name in its message, and a RuntimeError where it cannot copy.
        if isinstance(failed.__context__, TracewinnowError):
            raise failed.__context__ from None
        raise
    counters: dict[str, int] = {}
    for counter in result.metrics().query()["counters"]:
        name = counter.key.metric.name
        counters[name] = counters.get(name, 0) + int(counter.committed or 0)
    return counters


def submit(runner: str, construct: Callable[[beam.Pipeline], None], arguments: Sequence[str]) -> str:
    """Submit a graph to Flink, Prism or Dataflow; blocks until the job ends, and returns its last state.

    arguments: Beam's own, such as --job_endpoint=HOST:PORT. Raises BadUse for a runner that is not known.
    """
    if runner not in RUNNERS:
        raise BadUse(f"runner {runner!r} is not one of {', '.join(RUNNERS)}")
    options = PipelineOptions([*RUNNERS[runner], *arguments])
    pipeline = beam.Pipeline(options=options)
    construct(pipeline)
    result = pipeline.run()
    return str(result.wait_until_finish() or result.state)

"""Runs a graph: in this process for one machine, or submitted to another runner."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.worker.statesampler import DEFAULT_SAMPLING_PERIOD_MS, StateSampler

from tracewinnow.schemas.errors import BadUse, TracewinnowError

RUNNERS = {
    "flink": ["--runner=PortableRunner", "--streaming"],
    "prism": ["--runner=PrismRunner", "--streaming"],
    "dataflow": ["--runner=DataflowRunner", "--streaming"],
}


SAMPLED_MS = 10
# A run ends when Beam's sampler of states wakes for the last time, up to 200 ms later by default, and no pipeline option sets it.
if StateSampler.__init__.__defaults__ == (DEFAULT_SAMPLING_PERIOD_MS,):  # as in every Beam that we know
    StateSampler.__init__.__defaults__ = (SAMPLED_MS,)


class _Constructor(FnApiRunner):
    """Keeps the graph, checked and ready, that it is given to run."""

    def run_via_runner_api(self, graph: beam_runner_api_pb2.Pipeline, options: PipelineOptions) -> None:
        self.graph = graph.SerializeToString()


class Prepared:
    """A bounded graph that is constructed once and runs in this process as often as it is asked to.

    Constructing takes six times as long as running it over little. What differs from run to run, its first step has to look up.
    """

    def __init__(self, construct: Callable[[beam.Pipeline], None]) -> None:
        # One line about each missing cloud library and each pipeline option is no news to the reader of a progress bar.
        # What a step raises is raised here, so its traceback in the log is no news either.
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
        # Given explicitly, or Beam would take the flags of whatever program we run in for its own, and would first try to
        # download another runner.
        self.options = PipelineOptions([])
        runner = _Constructor()
        pipeline = beam.Pipeline(runner=runner, options=self.options)
        construct(pipeline)
        pipeline.run()
        self.graph = runner.graph

    def run(self, told: dict[str, set[str]] | None = None) -> dict[str, int]:
        """Run it, and return its counters by name. Blocks until it is done. Raises what a step raised.

        told: takes what steps said in words, by name.
        """
        try:
            result = FnApiRunner().run_via_runner_api(beam_runner_api_pb2.Pipeline.FromString(self.graph), self.options)
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
        if told is not None:
            for words in result.metrics().query()["string_sets"]:
                told.setdefault(words.key.metric.name, set()).update(words.committed or ())
        return counters


def run_here(construct: Callable[[beam.Pipeline], None], told: dict[str, set[str]] | None = None) -> dict[str, int]:
    """Run a bounded graph in this process, once; see Prepared."""
    return Prepared(construct).run(told)


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

"""`tracewinnow stream`: the pipeline over Kafka."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from typing import Any

import click

from tracewinnow.cli.common import beam_arguments, counted, log_to_stderr, pipeline_options, settings_of, submitted
from tracewinnow.cli.values import brokers
from tracewinnow.schemas.errors import BadUse

TOPICS = "telemetry.tpu.v1,telemetry.gpu.v1,telemetry.cpu.v1"
POLL_SECONDS = 0.3


class Stop:
    """While entered, the first Ctrl-C or SIGTERM asks to end after the run in hand; the second ends at once, safe as well."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Stop:
        self.before = {number: signal.signal(number, self._signal) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _signal(self, number: int, frame: Any) -> None:
        if self.asked:
            os.write(2, b"\nStopped at once; the next start goes on where this one was.\n")
            os._exit(128 + number)
        self.asked = True
        os.write(2, b"\nStopping after the run in hand. Once more to stop at once.\n")


@click.command(
    epilog="""\b
Examples:
  tracewinnow stream --bootstrap localhost:9092 --warehouse warehouse
  tracewinnow stream --bootstrap localhost:9092 --warehouse warehouse --until-idle 30s
  tracewinnow stream --bootstrap kafka:9092 --warehouse gs://telemetry/prod --runner flink \\
      --beam-options "--job_endpoint=localhost:8099 --environment_type=LOOPBACK --checkpointing_interval=10000"
"""
)
@click.option(
    "--bootstrap", required=True, envvar="TRACEWINNOW_BOOTSTRAP", metavar="HOST:PORT", callback=brokers,
    help="Kafka brokers.",
)  # fmt: skip
@click.option("--topics", default=TOPICS, show_default=True, help="Topics, by comma.")
@click.option(
    "--group",
    default="tracewinnow",
    show_default=True,
    help="Consumer group whose offsets are committed; the local runner commits those of GROUP-local, and reads none of them.",
)
@click.option(
    "--disorder", default="5s", show_default=True, help="How late a record may come before its window is over."
)
@click.option(
    "--until-idle",
    default=None,
    metavar="DURATION",
    help="End when nothing has come for so long; open windows are built.",
)
@click.option("--registry", default="", metavar="URL", help="Schema registry, for records in Confluent framing.")
@pipeline_options
def command(
    bootstrap: str,
    topics: str,
    group: str,
    disorder: str,
    until_idle: str | None,
    **options: Any,
) -> None:
    """Read telemetry from Kafka, archive it, winnow it, write the results.

    Runs until it is stopped. Nothing is lost and nothing doubled if it is killed: start it again.
    """
    from tracewinnow.pipelines.options import duration_ns
    from tracewinnow.schemas.errors import BadUse

    log_to_stderr()
    settings = settings_of(options)
    arguments = beam_arguments(options)
    names = [name.strip() for name in topics.split(",") if name.strip()]
    if not names:
        raise BadUse("--topics names no topic")
    disorder_ms = duration_ns(disorder) // 1_000_000
    idle_seconds = duration_ns(until_idle) / 1e9 if until_idle else None
    if options["runner"] == "local":
        _run_local(bootstrap, names, settings, group, disorder_ms, idle_seconds, options["as_json"])
    else:
        from tracewinnow.pipelines.stream import submit_stream

        with submitted(options["runner"]):
            state = submit_stream(options["runner"], bootstrap, names, settings, group, disorder_ms, arguments)
        click.echo(f"The job ended: {state}", err=True)


def _look_for(bootstrap: str, topics: list[str]) -> None:
    """Raises BadUse for a topic that is not there. Of those that nobody named a job makes its own when it begins."""
    from tracewinnow.pipelines.topics import check_topics, missing_topics

    if topics != TOPICS.split(","):
        check_topics(bootstrap, topics)
    elif missing_topics(bootstrap, topics) == topics:
        click.echo(f"The broker has none of {', '.join(topics)} yet: waiting for the first job.", err=True)


def _run_local(
    bootstrap: str,
    topics: list[str],
    settings: Any,
    group: str,
    disorder_ms: int,
    idle_seconds: float | None,
    as_json: bool,
) -> None:
    from tracewinnow.pipelines.builder import Builders
    from tracewinnow.pipelines.retry import keep_trying
    from tracewinnow.pipelines.single import only_one

    def report(what: str, counters: dict[str, Any]) -> None:
        if as_json:
            click.echo(json.dumps({"did": what, **counters}))
        elif what == "read":
            click.echo(
                f"read {counted(counters.get('events', 0), 'event')} in "
                f"{counted(counters.get('batches', 0), 'batch')}, "
                f"{counted(counters.get('dead_letters', 0), 'dead letter')}, {counters['seconds']:.1f}s",
                err=True,
            )
        else:
            dead = counters.get("dead_letters", 0)
            click.echo(
                f"built {counted(counters.get('traces', 0), 'trace')}: {counters.get('tokens_before', 0):,} tokens "
                f"became {counters.get('tokens_after', 0):,}" + (f", {counted(dead, 'dead letter')}" if dead else ""),
                err=True,
            )

    with only_one(settings.warehouse, "stream"), Stop() as stop:
        builders = Builders(settings)  # before our own imports of Beam, which take as long as theirs
        from tracewinnow.pipelines.local_stream import LocalStream

        try:
            _look_for(bootstrap, topics)  # before the warehouse is taken over
            stream = LocalStream(bootstrap, topics, settings, group, disorder_ms, report, builders)
        except BaseException:
            builders.close()
            raise
        click.echo(f"Reading {', '.join(topics)} at {bootstrap} into {settings.warehouse}. Ctrl-C stops.", err=True)
        last = time.monotonic()
        try:
            while not stop.asked:
                if keep_trying(stream.turn, lambda: stop.asked):
                    last = time.monotonic()
                elif idle_seconds is not None and time.monotonic() - last > idle_seconds:
                    stream.flush(lambda: stop.asked)
                    break
                else:
                    time.sleep(POLL_SECONDS)
        except BadUse:
            with suppress(BadUse):
                stream.close()  # or its builders would outlive it
            raise
        stream.close()
        if stream.state.pending:
            click.echo(
                f"Still open: {counted(len(stream.state.pending), 'window')}; the next start goes on with them.",
                err=True,
            )

"""`tracewinnow sync`: ship what a spool still holds."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from tracewinnow.brokers import wrong_address
from tracewinnow.cli.values import brokers
from tracewinnow.logger.descriptors import fill_standard
from tracewinnow.logger.sync import Outcome, sync
from tracewinnow.schemas.errors import BadUse


def _range(ctx: click.Context, param: click.Parameter, value: str | None) -> range | None:
    """FROM-TO, both included."""
    if value is None:
        return None
    first, _, last = value.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) < int(first):
        raise click.BadParameter(f"{value!r} is no range of batches; write for instance 17-23", ctx, param)
    return range(int(first), int(last or first) + 1)


def _patience(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """Seconds; what is not a number would never be over."""
    if not value >= 0:
        raise click.BadParameter(f"{value} is no number of seconds; write for instance 30", ctx, param)
    return value


@click.command(
    "sync",
    epilog="""\b
Examples:
  tracewinnow sync /var/tmp/tracewinnow-1000
  tracewinnow sync spool --bootstrap kafka:9092 --job llama-7b
  tracewinnow sync spool --job llama-7b --resend 17-23     # a hole that `tracewinnow jobs` reported
""",
)
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--bootstrap", metavar="HOST:PORT", callback=brokers,
    help="Kafka, instead of the one that the job was started with.",
)  # fmt: skip
@click.option("--job", default="", help="Only the processes of this job.")
@click.option("--resend", metavar="FROM-TO", callback=_range, help="Send these batches again, acknowledged or not.")
@click.option(
    "--patience",
    default=10.0,
    show_default=True,
    callback=_patience,
    help="Seconds without progress until the broker is given up.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a process.")
def command(
    directory: Path, bootstrap: str | None, job: str, resend: range | None, patience: float, as_json: bool
) -> None:
    """Ship what a spool still holds: cut what dead processes left, send what no broker has acknowledged.

    A process whose shipper lives is left alone. Sending twice does no harm: the pipeline drops what it has.
    """
    if resend is not None and not job:
        raise BadUse("--resend counts the batches of a job: name it with --job")
    fill_standard()  # or what is printed would stand in a file of the spool
    counts: dict[str, int] = {}
    bootstrap = bootstrap or os.environ.get("TRACEWINNOW_BOOTSTRAP", "")
    if trouble := wrong_address(bootstrap):
        raise BadUse(f"TRACEWINNOW_BOOTSTRAP: {trouble}")
    for outcome in sync(directory, bootstrap, job, resend, patience, _bar if sys.stderr.isatty() else None):
        counts[outcome.state] = counts.get(outcome.state, 0) + 1
        click.echo(json.dumps(asdict(outcome)) if as_json else _line(outcome))
    if not counts:
        what = f"of job {job} " if job else ""
        click.echo(f"No process {what}has a spool in {directory}.", err=True)
        sys.exit(1 if job else 0)
    if counts.get("left") or counts.get("failed"):
        sys.exit(1)


def _line(outcome: Outcome) -> str:
    text = f"{outcome.job or '?'}  {outcome.process_uuid[:8]}  {outcome.state}: {outcome.batches} batches"
    text += f", {outcome.sent} sent now, {outcome.left} left"
    return f"{text} ({outcome.message})" if outcome.message else text


def _bar(job: str, total: int) -> Callable[[int], None]:
    width = 30

    def show(sent: int) -> None:
        full = width if not total else width * sent // total
        end = "\n" if sent >= total else ""
        print(f"\r{job}  [{'#' * full}{' ' * (width - full)}] {sent}/{total}", end=end, file=sys.stderr, flush=True)

    return show

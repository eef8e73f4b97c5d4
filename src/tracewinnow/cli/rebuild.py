"""`tracewinnow rebuild`: everything again from the archive."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import click

from tracewinnow.cli.common import (
    beam_arguments,
    counted,
    ends_at_once,
    log_to_stderr,
    pipeline_options,
    settings_of,
    submitted,
)
from tracewinnow.schemas.errors import TracewinnowError


@click.command(
    epilog="""\b
Examples:
  tracewinnow rebuild --warehouse warehouse
  tracewinnow rebuild --job 8123 --warehouse warehouse --window 60s
"""
)
@click.option("--job", "job_id", default=None, help="Only this job.")
@pipeline_options
def command(job_id: str | None, **options: Any) -> None:
    """Make traces and tables again from the archive of raw telemetry.

    After an upgrade, or when a table was lost. --window must be what the warehouse was begun with. The exit code is 1 where an
    object of the archive is damaged, or a trace could not be made.
    """
    log_to_stderr()
    from tracewinnow.pipelines import rebuild
    from tracewinnow.serving.warehouse import Warehouse

    settings = settings_of(options)
    arguments = beam_arguments(options)
    Warehouse(settings.warehouse)  # or an error that says what to give
    keys = list(rebuild.windows(settings, job_id))
    if not keys:
        click.echo(f"The archive of {settings.warehouse} is empty.", err=True)
        return
    if options["runner"] != "local":
        with submitted(options["runner"]):
            state = rebuild.submit_rebuild(options["runner"], keys, settings, arguments)
        click.echo(f"The job ended: {state}", err=True)
        return
    total: Counter[str] = Counter()
    with (
        ends_at_once("Interrupted. Nothing is broken: start it again, it does all windows anew."),
        click.progressbar(length=len(keys), label="Rebuild", file=sys.stderr, width=30) as bar,
    ):

        def report(windows: int, counters: dict[str, int]) -> None:
            total.update(counters)
            bar.update(windows)

        rebuild.rebuild(keys, settings, report)
    if options["as_json"]:
        click.echo(json.dumps({"windows": len(keys), **dict(sorted(total.items()))}))
    else:
        click.echo(
            f"{counted(len(keys), 'window')}: {counted(total['traces'], 'trace')}, "
            f"{counted(total['dead_letters'], 'dead letter')}.",
            err=True,
        )
    if wrong := _wrong(total):
        raise TracewinnowError("\n".join(wrong))


def _wrong(total: Counter[str]) -> list[str]:
    """What is not as it should be, in sentences that say what to do."""
    found = []
    if total["damaged_objects"]:
        outcomes = []
        if stayed := total["windows_not_rebuilt"]:
            outcomes.append(
                f"{counted(stayed, 'window')} {'stays as it was' if stayed == 1 else 'stay as they were'} built before"
            )
        if lacking := total["windows_lacking"]:
            outcomes.append(f"{counted(lacking, 'window')} {'lacks' if lacking == 1 else 'lack'} what only they held")
        found.append(
            f"{counted(total['damaged_objects'], 'object')} of the archive cannot be read (named above): "
            f"{' and '.join(outcomes)}. Put back a copy, then rebuild again."
        )
    if failed := total["traces_failed"]:
        found.append(
            f"{counted(failed, 'trace')} could not be made or written whole: the dead letters say why. Mend what they name, or "
            "upgrade, then rebuild again."
        )
    return found

"""`tracewinnow backfill`: the pipeline over files."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import click

from tracewinnow.cli.common import beam_arguments, log_to_stderr, pipeline_options, settings_of


@click.command(
    epilog="""\b
Examples:
  tracewinnow backfill slurm-8123.out --job 8123 --warehouse warehouse
  tracewinnow backfill old-logs/ --warehouse warehouse          # each file is a job of its name
  tracewinnow backfill spool/*.outbox --warehouse warehouse     # what a job's logger left behind
"""
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--job", "job_id", default=None, help="Job of all files; without it each file's name is its job.")
@click.option("--again", is_flag=True, help="Read files again that are in already; nothing is doubled.")
@pipeline_options
def command(paths: tuple[str, ...], job_id: str | None, again: bool, **options: Any) -> None:
    """Archive and winnow plain logs, JSON lines, Parquet and outboxes, also as .gz and .zst; folders are searched.

    Goes on where it was when it was broken off. A file that has grown since is read from its old end.
    """
    log_to_stderr()
    from tracewinnow.pipelines import backfill
    from tracewinnow.pipelines.files import find
    from tracewinnow.pipelines.single import only_one
    from tracewinnow.stores.objects import open_objects

    settings = settings_of(options)
    arguments = beam_arguments(options)
    with only_one(settings.warehouse, "backfill"):
        tasks, refused = backfill.plan(
            find(paths), job_id, backfill.done_before(open_objects(settings.warehouse)), again
        )
        for sentence in refused:
            click.echo(f"Skipped: {sentence}", err=True)
        if not tasks:
            click.echo("Nothing to do: every file is in already (--again reads them again).", err=True)
        elif options["runner"] != "local":
            click.echo(
                f"The job ended: {backfill.submit_backfill(options['runner'], tasks, settings, arguments)}", err=True
            )
        else:
            _run_local(tasks, settings, options["as_json"])
    if refused:
        raise click.exceptions.Exit(1)


def _run_local(tasks: list[Any], settings: Any, as_json: bool) -> None:
    from tracewinnow.pipelines import backfill

    total: Counter[str] = Counter()
    size = sum(task.stop - task.start for task in tasks)
    with click.progressbar(length=size, label="Backfill", file=sys.stderr, width=30) as bar:

        def report(group: list[Any], counters: dict[str, int]) -> None:
            total.update(counters)
            bar.update(sum(task.stop - task.start for task in group))

        backfill.backfill(tasks, settings, report)
    if as_json:
        click.echo(json.dumps(dict(sorted(total.items()))))
    else:
        click.echo(
            f"{len({task.path for task in tasks})} files: {total['events']} events, {total['traces']} traces, "
            f"{total['tokens_before']} tokens became {total['tokens_after']}, {total['dead_letters']} dead letters.",
            err=True,
        )

"""`tracewinnow backfill`: the pipeline over files."""

from __future__ import annotations

import json
import shlex
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
from tracewinnow.schemas.errors import BadUse


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
    files = find(paths)
    if not files:
        raise BadUse(f"there are no files in {', '.join(paths)}; those whose name begins with a dot are passed over")
    with (
        ends_at_once("Interrupted. The same command goes on where this one was."),
        only_one(settings.warehouse, "backfill"),
    ):
        tasks, refused = backfill.plan(files, job_id, backfill.done_before(open_objects(settings.warehouse)), again)
        for sentence in refused:
            click.echo(f"Skipped: {sentence}", err=True)
        if not tasks:
            empty = sum(file.stat().st_size == 0 for file in files)
            known = len(files) - empty - len(refused)
            found = [f"{counted(empty, 'file')} without content"] if empty else []
            found += [f"{counted(known, 'file')} already in (--again reads them again)"] if known else []
            found += [f"{counted(len(refused), 'file')} skipped"] if refused else []
            click.echo(f"Nothing to do: {', '.join(found)}.", err=True)
        elif options["runner"] != "local":
            with submitted(options["runner"]):
                state = backfill.submit_backfill(options["runner"], tasks, settings, arguments)
            click.echo(f"The job ended: {state}", err=True)
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
            f"{counted(len({task.path for task in tasks}), 'file')}: {counted(total['events'], 'event')}, "
            f"{counted(total['traces'], 'trace')}, {total['tokens_before']:,} tokens became {total['tokens_after']:,}, "
            f"{counted(total['dead_letters'], 'dead letter')}.",
            err=True,
        )
        click.echo(f"To look: tracewinnow jobs --warehouse {shlex.quote(settings.warehouse)}", err=True)

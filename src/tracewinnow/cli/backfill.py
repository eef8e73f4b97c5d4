"""`tracewinnow backfill`: the pipeline over files."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from pathlib import Path
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
from tracewinnow.cli.values import filled
from tracewinnow.schemas.errors import BadUse

# What --json prints of each run, also where it is nothing.
COUNTERS = ("batches", "bytes", "dead_letters", "events", "tokens_after", "tokens_before", "traces")


@click.command(
    epilog="""\b
Examples:
  tracewinnow backfill slurm-8123.out --job 8123 --warehouse warehouse
  tracewinnow backfill old-logs/ --warehouse warehouse          # each file is a job of its name
  tracewinnow backfill spool/*.outbox --warehouse warehouse     # what a job's logger left behind
"""
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", callback=filled)
@click.option("--job", "job_id", default=None, help="Job of all files; without it each file's name is its job.")
@click.option(
    "--again",
    is_flag=True,
    help="Read files again that are in already, as this version read them before; nothing is doubled.",
)
@pipeline_options
def command(paths: tuple[str, ...], job_id: str | None, again: bool, **options: Any) -> None:
    """Archive and winnow plain logs, JSON lines, Parquet and outboxes, also as .gz, .zst, .xz and .bz2; folders are searched.

    Goes on where it was when it was broken off. A file that has grown since is read from its old end; another file in its place,
    even one that begins alike, is read whole. Of a damaged file what is whole is read. Each file of which something, or all, was
    refused is named, and the exit code is 1.
    """
    log_to_stderr()
    from tracewinnow.pipelines import backfill
    from tracewinnow.pipelines.files import find, outside
    from tracewinnow.pipelines.single import only_one
    from tracewinnow.stores.objects import open_objects

    settings = settings_of(options)
    arguments = beam_arguments(options)
    found_files = find(paths)
    files = outside(found_files, paths, settings.warehouse)
    if len(files) < len(found_files):
        own = counted(len(found_files) - len(files), "file")
        click.echo(f"Skipped: {own} of the warehouse {settings.warehouse}, which is in a given folder", err=True)
    if not files:
        raise BadUse(f"there are no files in {', '.join(paths)}; those whose name begins with a dot are passed over")
    damaged: list[str] = []
    with (
        ends_at_once("Interrupted. The same command goes on where this one was."),
        only_one(settings.warehouse, "backfill"),
    ):
        tasks, refused = backfill.plan(files, job_id, backfill.done_before(open_objects(settings.warehouse)), again)
        for sentence in refused:
            click.echo(f"Skipped: {sentence}", err=True)
        if not tasks:
            empty = sum(map(_empty, files))
            known = len(files) - empty - len(refused)
            found = [f"{counted(empty, 'file')} without content"] if empty else []
            found += [f"{counted(known, 'file')} already in (--again reads them again)"] if known else []
            found += [f"{counted(len(refused), 'file')} skipped"] if refused else []
            click.echo(f"Nothing to do: {', '.join(found)}.", err=True)
            if options["as_json"]:
                _print_json(Counter(), [], refused)
        elif options["runner"] != "local":
            with submitted(options["runner"]):
                state = backfill.submit_backfill(options["runner"], tasks, settings, arguments)
            click.echo(f"The job ended: {state}", err=True)
        else:
            damaged = _run_local(tasks, settings, refused, options["as_json"])
    if refused or damaged:
        raise click.exceptions.Exit(1)


def _empty(path: Path) -> bool:
    from tracewinnow.pipelines.files import without_content

    try:
        return without_content(path)
    except OSError:  # it was told as skipped
        return False


def _run_local(tasks: list[Any], settings: Any, refused: list[str], as_json: bool) -> list[str]:
    """Runs the tasks, and returns a sentence for each damaged file."""
    from tracewinnow.pipelines import backfill

    total: Counter[str] = Counter()
    damaged: list[str] = []
    size = sum(task.stop - task.start for task in tasks)
    with click.progressbar(length=size, label="Backfill", file=sys.stderr, width=30) as bar:

        def report(group: list[Any], counters: dict[str, int]) -> None:
            total.update(counters)
            bar.update(sum(task.stop - task.start for task in group))

        def tell(reason: str) -> None:
            damaged.append(reason)
            # Said at once: who breaks it off here is not told by the next run. On a terminal the bar stands in this line.
            click.echo(("\n" if sys.stderr.isatty() else "") + " ".join(reason.split()), err=True)

        backfill.backfill(tasks, settings, report, tell)
    if as_json:
        _print_json(total, damaged, refused)
    else:
        click.echo(
            f"{counted(len({task.path for task in tasks}), 'file')}: {counted(total['events'], 'event')}, "
            f"{counted(total['traces'], 'trace')}, {total['tokens_before']:,} tokens became {total['tokens_after']:,}, "
            f"{counted(total['dead_letters'], 'dead letter')}.",
            err=True,
        )
        click.echo(f"To look: tracewinnow jobs --warehouse {shlex.quote(settings.warehouse)}", err=True)
    return damaged


def _print_json(total: Counter[str], damaged: list[str], refused: list[str]) -> None:
    counters = {name: total[name] for name in sorted({*COUNTERS, *total})}
    click.echo(json.dumps({**counters, "damaged_files": damaged, "skipped_files": refused}))

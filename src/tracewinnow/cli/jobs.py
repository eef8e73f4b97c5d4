"""`tracewinnow jobs`: which jobs there are, and how they ended."""

from __future__ import annotations

import dataclasses
import json

import click

from tracewinnow.cli.common import counted
from tracewinnow.cli.folder import folder_option
from tracewinnow.serving.damage import rebuild_command
from tracewinnow.serving.job import STATES, Job
from tracewinnow.serving.text import duration, number, plain, table, utc
from tracewinnow.serving.warehouse import Warehouse

NAMED = 5  # of what is missing of a job, and of jobs
COLOURS = {"crashed": "red", "lost contact": "yellow", "running": "cyan", "stopped": "green", "imported": "blue"}


@click.command(
    epilog="""\b
Examples:
  tracewinnow jobs --warehouse warehouse
  tracewinnow jobs --warehouse warehouse --state crashed --limit 5
  tracewinnow jobs --warehouse warehouse --json | jq -r '.[] | select(.holes != []) | .job_id'
"""
)
@folder_option
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=30, show_default=True, help="At most so many, newest first."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array; times in Unix nanoseconds.")
def command(warehouse: str, state: str | None, limit: int, as_json: bool) -> None:
    """List jobs and how they ended, the one heard of last first.

    A job that has been silent for 10 minutes without saying that it ended is "lost contact".
    """
    opened = Warehouse(warehouse)
    jobs = opened.jobs(state, limit)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(job) for job in jobs], indent=2))
        return
    if jobs:
        click.echo(table(HEAD, [_row(job) for job in jobs], right={4, 5, 6}))
    elif state:
        click.echo(f"No job is {state} in {warehouse}.", err=True)
    for job in jobs:
        missing = [*(f"{lack}: {lack.why}" for lack in job.lacks), *map(str, job.holes)]
        for one in missing[:NAMED]:
            click.echo(f"{plain(job.job_id)}: {plain(one)}", err=True)
        if len(missing) > NAMED:
            click.echo(f"{plain(job.job_id)}: and {len(missing) - NAMED} more holes", err=True)
    if any(not hole.cause for job in jobs for hole in job.holes):
        click.echo("`tracewinnow show JOB` says whether they came at all.", err=True)
    _tell_unbuilt(opened, bool(jobs) or state is not None)
    refused = opened.dead_letters()
    if refused:
        by_code = ", ".join(f"{plain(code)} {count}" for code, count in refused.items())
        count = sum(refused.values())
        what = "1 record or window was" if count == 1 else f"{count:,} records or windows were"
        click.echo(f"{what} refused (dead letters): {by_code}", err=True)


def _tell_unbuilt(opened: Warehouse, some: bool) -> None:
    """Jobs that are archived, and in no table. some: whether there are others."""
    unbuilt = opened.unbuilt()
    if unbuilt:
        named = ", ".join(map(plain, unbuilt[:NAMED])) + (", ..." if len(unbuilt) > NAMED else "")
        which = unbuilt[0] if len(unbuilt) == 1 else ""
        click.echo(
            f"Archived, and nothing of it built: {counted(len(unbuilt), 'job')} ({named}). "
            f"`{rebuild_command(which, opened.uri)}` builds what no running pipeline is about to.",
            err=True,
        )
    elif not some:
        click.echo(f"{opened.uri} holds no jobs yet.", err=True)


HEAD = ("JOB", "STATE", "STARTED (UTC)", "LASTED", "RANKS", "LINES", "TOKENS", "WHY")


def _row(job: Job) -> list[str]:
    ranks = f"{len(job.ranks)}/{job.world_size}" if job.world_size else str(len(job.ranks) or "")
    why = plain(job.reason) or (f"exit code {job.exit_code}" if job.exit_code else "")
    if job.lacks:
        why = f"[not all is built] {why}".rstrip()
    if job.holes:
        missing = sum(hole.last - hole.first + 1 for hole in job.holes)
        why = f"[{missing} {'batch' if missing == 1 else 'batches'} missing] {why}".rstrip()
    return [
        plain(job.job_id),
        click.style(job.state, fg=COLOURS[job.state]),
        utc(job.begun_ns),
        duration(job.lasted_ns) if job.lasted_ns and job.state != "imported" else "",  # files do not say when
        ranks,
        number(job.lines),
        f"{number(job.tokens_before)} -> {number(job.tokens_after)}",
        why,
    ]

"""`tracewinnow lines`: the raw lines that an answer left out."""

from __future__ import annotations

import json
import sys

import click

from tracewinnow.cli.common import warehouse_option
from tracewinnow.cli.output import binary_stdout
from tracewinnow.serving.raw import NotArchived, find_window, line_range, read_trace, window_name
from tracewinnow.serving.text import printable
from tracewinnow.serving.warehouse import Warehouse
from tracewinnow.stores.archive import Archive
from tracewinnow.stores.window_length import window_length


@click.command(
    epilog="""\b
Examples:
  tracewinnow lines llama-7b-0412 120-180 --warehouse warehouse
  tracewinnow lines llama-7b-0412 --warehouse warehouse --window 2026-03-01T12:04:00Z 7-31 --json
"""
)
@click.argument("job")
@click.argument("lines", metavar="FIRST-LAST")
@click.option(
    "--window", metavar="START", help="Start of the window, as the answer names it; not needed where there is one."
)
@click.option(
    "--part", type=click.IntRange(min=0), default=0, help="Part of a window that was too large for one trace."
)
@warehouse_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: window, number, time, rank and text.")
def command(job: str, lines: str, window: str | None, part: int, warehouse: str, as_json: bool) -> None:
    """Fetch the lines FIRST to LAST of JOB from the archive, as they were printed.

    The numbers are those in the gaps of an answer: from 1, in the order of the window's trace.
    """
    first, last = line_range(lines)
    opened = Warehouse(warehouse)
    archive = Archive(opened.store)
    job_id = opened.find(job)
    start = find_window(archive, job_id, window, window_length(opened.store) if window else None)
    if window and window not in (str(start), window_name(start)):
        click.echo(f"Window {window_name(start)} is the one that begins at or before {window}.", err=True)
    trace = read_trace(archive, job_id, start, part)
    answered = opened.revision(job_id, start, part)
    if answered and answered != trace.revision:
        click.echo(
            f"The window holds {trace.revision:,} batches now; answers were made of {answered:,}, and number lines otherwise.",
            err=True,
        )
    count = len(trace.lines)
    if first > count:
        raise NotArchived(
            f"Window {window_name(start)} of {job_id!r} has {count:,} lines, {first:,} is beyond its end."
        )
    if last > count:
        click.echo(f"The window ends at line {count:,}.", err=True)
    if as_json:
        for at in range(first - 1, min(last, count)):
            row = {
                "window": window_name(start), "line": at + 1, "time_ns": trace.times_ns[at], "rank": trace.ranks[at],
                "text": trace.lines[at],
            }  # fmt: skip
            click.echo(json.dumps(row))
        return
    text = "\n".join(trace.lines[first - 1 : last]) + "\n"
    if sys.stdout and sys.stdout.isatty():
        click.echo(printable(text), nl=False)
    else:
        with binary_stdout() as out:
            out.write(text.encode("utf-8", "surrogateescape"))

"""`tracewinnow lines`: the raw lines that an answer left out."""

from __future__ import annotations

import json
import re
import sys

import click

from tracewinnow.cli.common import counted
from tracewinnow.cli.folder import folder_option
from tracewinnow.cli.output import binary_stdout
from tracewinnow.schemas.errors import BadUse
from tracewinnow.serving.damage import damaged_archive
from tracewinnow.serving.raw import NotArchived, find_window, line_range, read_trace, window_name
from tracewinnow.serving.text import printable
from tracewinnow.serving.warehouse import Warehouse
from tracewinnow.stores.errors import CorruptObject
from tracewinnow.stores.window_length import window_length
from tracewinnow.transforms.trace import Trace


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
    "--window",
    metavar="START",
    help="The window, as the answer names it: its start, and perhaps its part; not needed where there is one.",
)
@click.option("--part", type=click.IntRange(min=0), help="Part of a window that was too large for one trace.")
@folder_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: window, number, time, rank and text.")
def command(job: str, lines: str, window: str | None, part: int | None, warehouse: str, as_json: bool) -> None:
    """Fetch the lines FIRST to LAST of JOB from the archive, as they were printed.

    The numbers are those in the gaps of an answer: from 1, in the order of the window's trace.
    """
    first, last = line_range(lines)
    window, part = _window_and_part(window, part)
    opened = Warehouse(warehouse)
    job_id = opened.find(job, archived=True)
    start = find_window(opened.archive, job_id, window, window_length(opened.store) if window else None)
    if window and window not in (str(start), window_name(start)):
        click.echo(f"Window {window_name(start)} is the one that begins at or before {window}.", err=True)
    damaged: list[CorruptObject] = []
    try:
        trace = read_trace(opened.archive, job_id, start, part, damaged)
        if first > len(trace.lines):
            raise NotArchived(
                f"Window {window_name(start)} of {job_id!r} has {len(trace.lines):,} lines, {first:,} is beyond its end."
            )
    except (NotArchived, BadUse) as wrong:
        if not damaged:
            raise
        raise damaged_archive(damaged, str(wrong), job_id, warehouse) from wrong
    held = [(one.process_uuid, one.first, one.last) for one in trace.processes]
    answered = opened.made_of(job_id, start, part)
    if answered and answered != held:
        now, then = (sum(last - first + 1 for _, first, last in runs) for runs in (held, answered))
        what = counted(now, "batch") if now != then else "other batches"
        click.echo(
            f"The window holds {what} now; answers were made of {then:,}, and number lines otherwise.",
            err=True,
        )
    count = len(trace.lines)
    if last > count:
        click.echo(f"The window ends at line {count:,}.", err=True)
    _write(trace, first, min(last, count), as_json)
    if damaged:
        raise damaged_archive(damaged, "Lines of this window are missing here.", job_id, warehouse)


def _window_and_part(window: str | None, part: int | None) -> tuple[str | None, int]:
    """What --window and --part name: an answer calls the parts of a window `START part N`."""
    named = re.fullmatch(r"(.+?),?\s+part\s+([0-9]{1,9})\s*", window or "")
    if not named:
        return window, part or 0
    if part is not None and part != int(named[2]):
        raise BadUse(f"--window names part {int(named[2])}, and --part says {part}: leave --part out")
    return named[1], int(named[2])


def _write(trace: Trace, first: int, last: int, as_json: bool) -> None:
    if as_json:
        for at in range(first - 1, last):
            row = {
                "window": window_name(trace.window_start_ns), "line": at + 1, "time_ns": trace.times_ns[at],
                "rank": trace.ranks[at], "text": trace.lines[at],
            }  # fmt: skip
            click.echo(json.dumps(row))
        return
    text = "\n".join(trace.lines[first - 1 : last]) + "\n"
    if sys.stdout and sys.stdout.isatty():
        click.echo(printable(text), nl=False)
    else:
        with binary_stdout() as out:
            out.write(text.encode("utf-8", "surrogateescape"))

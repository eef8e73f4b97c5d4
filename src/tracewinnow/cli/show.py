"""`tracewinnow show`: why a job failed, under a token budget."""

from __future__ import annotations

import json
import sys

import click
from google.protobuf.json_format import MessageToDict

from tracewinnow.cli.folder import folder_option
from tracewinnow.cli.output import binary_stdout, whole
from tracewinnow.schemas.errors import BadUse, TracewinnowError
from tracewinnow.serving.holes import Lack
from tracewinnow.serving.text import number, plain, printable
from tracewinnow.serving.warehouse import Warehouse
from tracewinnow.transforms.answer import answer

NAMED = 5  # of what is lacking


@click.command(
    epilog="""\b
Examples:
  tracewinnow show llama-7b-0412 --warehouse warehouse
  tracewinnow show llama --warehouse warehouse --budget 500 --query "why did rank 3 run out of memory?"
  tracewinnow show llama --warehouse warehouse --html report.html
"""
)
@click.argument("job")
@click.option("--budget", type=click.IntRange(min=1), default=2000, show_default=True, help="At most so many tokens.")
@click.option("--query", metavar="TEXT", help="What you want to know; lines that speak of it come first.")
@click.option(
    "--html", type=click.Path(dir_okay=False, allow_dash=True), metavar="FILE",
    help="Write a page with the timeline, the series and what was dropped. FILE holds all that it needs; - is stdout, and the "
    "answer is not printed.",
)  # fmt: skip
@folder_option
@click.option("--json", "as_json", is_flag=True, help="The answer with its segments, as one JSON object.")
def command(job: str, budget: int, query: str | None, html: str | None, warehouse: str, as_json: bool) -> None:
    """Answer why JOB failed, under a token budget.

    JOB is its id, or the beginning of it where only one job begins so. The answer is chosen over everything that was
    stored of the job; each gap says how many lines it stands for, and `tracewinnow lines` fetches them.
    """
    if html == "-" and as_json:
        raise BadUse("--html - and --json both write to standard output: give --html a file")
    opened = Warehouse(warehouse)
    told = opened.job(opened.find(job))
    unread: list[Lack] = []
    traces = opened.traces(told.job_id, html is not None, unread)
    lacks = [*unread, *told.lacks]
    lost = list(map(str, lacks))
    holes = [*lost, *map(str, told.holes)]
    found = answer(traces, budget, query, holes=holes)
    if html:
        from tracewinnow.serving.report import report

        page = report(told, traces, found, opened, lost)
        if html == "-":
            with binary_stdout() as out:
                out.write(page.encode())
        else:
            with whole(html) as place:
                place.write_text(page, encoding="utf-8")
            click.echo(f"Report: {html}", err=True)
    if as_json:
        segments = [
            {"trace_id": trace_id, **MessageToDict(segment, preserving_proto_field_name=True)}
            for trace_id, segment in found.chosen
        ]
        document = {
            "job_id": told.job_id, "state": told.state, "reason": told.reason, "budget": budget, "query": query,
            "tokens": found.tokens, "tokens_before": found.tokens_before, "holes": holes,
            "text": found.text, "segments": segments,
        }  # fmt: skip
        click.echo(json.dumps(document, indent=2))
    else:
        if html != "-":
            click.echo(printable(found.text) if sys.stdout.isatty() else found.text)
        click.echo(
            f"{plain(told.job_id)}: {told.state}; {number(found.tokens_before)} tokens became {number(found.tokens)}.",
            err=True,
        )
    if lacks:
        more = [f"And {len(lacks) - NAMED} more windows."] if len(lacks) > NAMED else []
        told_each = [f"{plain(str(one))}: {plain(one.why)}." for one in lacks[:NAMED]]
        raise TracewinnowError("\n".join(["The answer is not whole.", *told_each, *more]))

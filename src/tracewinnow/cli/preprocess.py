"""`tracewinnow preprocess`: winnow one log down to a token budget."""

from __future__ import annotations

import sys

import click
from google.protobuf.json_format import MessageToJson

from tracewinnow.cli.logfiles import BINARY_LOG, chunks, healthy, opened
from tracewinnow.schemas.errors import BadUse
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.pieces import winnow_pieces

EXAMPLES = """
\b
Examples:
  tracewinnow preprocess train.log --budget 2000
  kubectl logs job/train | tracewinnow preprocess - --budget 1000 --query "why is the loss NaN"
  tracewinnow preprocess failed.log.gz --reference good.log --json | jq .classes
"""


@click.command("preprocess", epilog=EXAMPLES)
@click.argument("file", default="-", metavar="[FILE|-]")
@click.option("--budget", type=int, default=2000, show_default=True, metavar="TOKENS", help="The most tokens to print.")
@click.option("--query", default="", metavar="TEXT", help="What you want to know; lines that speak of it come first.")
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="FILE",
    help="Log of a run that went well, or a profile by `tracewinnow reference`; may be repeated.",
)
@click.option(
    "--workload", default="", metavar="KIND", help="What kind of job this is, in a word: training, inference, data, ci."
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON: segments, classes, counts.")
def command(file: str, budget: int, query: str, references: tuple[str, ...], workload: str, as_json: bool) -> None:
    """Winnow one log down to a token budget.

    Reads FILE (plain text, .gz, .zst, .xz or .bz2; standard input without one) and prints the text to send to a language model:
    evidence verbatim, in order, with a mark …A-B for each range of lines that was left out.
    """
    if budget < 1:
        raise BadUse(f"--budget is {budget}: give a number of tokens of at least 1")
    if (file, *references).count("-") > 1:
        raise BadUse("standard input (-) can be read once: give the log or the reference as a file")
    reference, empty, binary = healthy(references)
    for name in binary:
        click.echo(BINARY_LOG.format(name), err=True)
    for name in empty:
        click.echo(f"Note: the reference {name} is empty", err=True)
    if file == "-" and sys.stdin and sys.stdin.isatty():
        click.echo("Reading standard input until Ctrl-D; give a FILE to read one.", err=True)
    options = Options(budget, query, workload, reference if reference.runs else None)
    with opened(file) as stream:
        result = winnow_pieces(chunks(stream, file), options)
    if not result.bytes_before:
        click.echo(f"Note: {'standard input' if file == '-' else file} is empty: there is nothing to winnow", err=True)
    for note in result.notes:
        if note.stage == "read":
            click.echo(f"Note: {note.reason}", err=True)
    if as_json:
        click.echo(
            MessageToJson(
                result, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, ensure_ascii=False
            )
        )
    elif result.text:
        click.echo(result.text)

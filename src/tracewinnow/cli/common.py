"""Options that pipeline verbs share, and their progress on stderr."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
from collections.abc import Callable, Iterator
from typing import Any

import click

WAREHOUSE_HELP = "Folder or gs://bucket/prefix that holds archive and results. Env: TRACEWINNOW_WAREHOUSE."
# Of Beam's options, what a runner cannot do without, and an example.
NEEDED = {
    "flink": {"--job_endpoint": "--job_endpoint=localhost:8099"},
    "dataflow": {"--project": "--project=PROJECT --region=REGION --temp_location=gs://BUCKET/tmp"},
}

Command = Callable[..., Any]


def warehouse_option(command: Command) -> Command:
    """--warehouse, required, also from the environment."""
    return click.option(
        "--warehouse", type=_Uri(), envvar="TRACEWINNOW_WAREHOUSE", required=True, metavar="URI", help=WAREHOUSE_HELP
    )(command)


class _Uri(click.types.StringParamType):
    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "Give the folder or gs://bucket/prefix with --warehouse, or set TRACEWINNOW_WAREHOUSE to it."


def pipeline_options(command: Command) -> Command:
    """Options of every verb that runs the graph."""
    for option in reversed(
        (
            warehouse_option,
            click.option(
                "--tables", default="", metavar="bq://PROJECT/DATASET", help="Write tables there, not to the warehouse."
            ),
            click.option(
                "--window", default="60s", show_default=True, help="Length of a window; stays the same for a warehouse."
            ),
            click.option(
                "--budget", type=int, default=2000, show_default=True, help="Tokens of the text of each trace."
            ),
            click.option(
                "--store-tokens",
                type=int,
                default=8000,
                show_default=True,
                help="Tokens of segments stored for later answers.",
            ),
            click.option(
                "--rel-error",
                type=float,
                help="Largest relative error of stored numbers; without it every bit is kept.",
            ),
            click.option(
                "--reference",
                default="",
                metavar="FILE",
                help="Profile of healthy runs, by `tracewinnow reference`: what half of them print is noise.",
            ),
            click.option(
                "--runner",
                type=click.Choice(["local", "flink", "prism", "dataflow"]),
                default="local",
                show_default=True,
                help="Where the graph runs; local: in this process.",
            ),
            click.option(
                "--beam-options",
                default="",
                metavar="TEXT",
                help="Options of Beam for a runner that is not local, as one text.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Counters as JSON lines on stdout."),
        )
    ):
        command = option(command)
    return command


def settings_of(options: dict[str, Any]) -> Any:
    """pipelines.options.Settings from the options above. Raises BadUse, also where the warehouse has windows of another length."""
    from tracewinnow.pipelines.options import Settings, duration_ns, profile_at
    from tracewinnow.schemas.errors import BadUse
    from tracewinnow.stores.objects import open_objects
    from tracewinnow.stores.tables import open_tables
    from tracewinnow.stores.window_length import check_window
    from tracewinnow.transforms.options import Options

    if options["tables"] and not options["tables"].startswith("bq://"):
        raise BadUse(
            f"--tables {options['tables']!r} is no BigQuery dataset: give bq://PROJECT/DATASET, or leave it out"
        )
    if options["tables"]:
        open_tables(options["tables"])  # or an error now, not in each process that writes
    settings = Settings(
        warehouse=options["warehouse"],
        window_ns=duration_ns(options["window"]),
        tables=options["tables"],
        registry=options.get("registry") or "",
        reference=os.path.abspath(options["reference"]) if options["reference"] else "",
        stage=Options(
            budget=options["budget"],
            store_tokens=options["store_tokens"],
            rel_error=options["rel_error"],
            reference=profile_at(options["reference"]),
        ),
    )
    check_window(open_objects(settings.warehouse), settings.warehouse, settings.window_ns)
    return settings


def beam_arguments(options: dict[str, Any]) -> list[str]:
    """What --beam-options holds, split as a shell would. Raises BadUse for the local runner, which takes none."""
    from tracewinnow.schemas.errors import BadUse

    try:
        found = shlex.split(options["beam_options"])
    except ValueError as wrong:
        raise BadUse(f"--beam-options cannot be read as a shell would: {wrong}") from wrong
    if found and options["runner"] == "local":
        raise BadUse("--beam-options are for other runners; the local one takes none. Did you forget --runner?")
    given = {word.partition("=")[0] for word in found}
    for needed, example in NEEDED.get(options["runner"], {}).items():
        if needed not in given:
            raise BadUse(f'--runner {options["runner"]} needs {needed}: give --beam-options "{example}"')
    return found


@contextlib.contextmanager
def submitted(runner: str) -> Iterator[None]:
    """What another runner raises, as one sentence: it comes from Beam, from servers and from grpc, and has many types."""
    from tracewinnow.pipelines.retry import innermost
    from tracewinnow.schemas.errors import TracewinnowError

    try:
        yield
    except TracewinnowError:
        raise
    except Exception as failed:
        raise TracewinnowError(
            f"the runner {runner} did not do it: {innermost(failed)}. See that --beam-options say how to reach it"
        ) from failed


class StderrHandler(logging.Handler):
    """Lines on what is stderr at that moment: a stream that was stderr once may be closed by now."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            click.echo(self.format(record), err=True)
        except (OSError, ValueError):
            self.handleError(record)


def log_to_stderr() -> None:
    """Our warnings as plain lines on stderr; those of libraries only when they are errors."""
    handler = StderrHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    logging.getLogger("tracewinnow").setLevel(logging.WARNING)


@contextlib.contextmanager
def ends_at_once(sentence: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end this process where it is, with a sentence: for work that a kill leaves whole."""

    def end(number: int, frame: Any) -> None:
        os.write(2, f"\n{sentence}\n".encode())
        os._exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def counted(count: int, thing: str) -> str:
    """ "1 file", "1,200 files", "2 batches"."""
    return f"{count:,} {thing}" + ("" if count == 1 else "es" if thing.endswith("ch") else "s")

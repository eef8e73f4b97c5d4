"""The command line: results on stdout, progress and logs on stderr; exit code 2 for bad use, 1 for a failure.

Each verb is a module of this folder with a click command named `command`. It is imported when it is called, so that
`tracewinnow run` starts fast and needs nothing but the base installation.
"""

from __future__ import annotations

import difflib
import importlib
import sys

import click
from click.shell_completion import CompletionItem

from tracewinnow.cli.output import STDOUT, drop_stdout, whole_stdout
from tracewinnow.schemas.errors import BadUse, TracewinnowError
from tracewinnow.version import VERSION

# verb -> (module, what it does in a line, extra that it needs)
VERBS: dict[str, tuple[str, str, str]] = {
    "preprocess": ("preprocess", "Winnow one log down to a token budget.", "winnow"),
    "reference": ("reference", "Make and merge profiles of healthy runs.", "winnow"),
    "run": ("run", "Run any command and send what it prints.", ""),
    "sync": ("sync", "Ship what a spool still holds.", ""),
    "stream": ("stream", "Run the pipeline over Kafka.", "pipeline"),
    "backfill": ("backfill", "Run the pipeline over files.", "pipeline"),
    "rebuild": ("rebuild", "Make everything again from the archive.", "pipeline"),
    "export": ("export", "Write the training export of a day.", "pipeline"),
    "jobs": ("jobs", "List jobs and how they ended.", "serve"),
    "show": ("show", "Answer why a job failed, under a token budget.", "serve"),
    "lines": ("lines", "Fetch raw lines that an answer left out.", "serve"),
    "series": ("series", "Fetch the numbers that a job sent.", "serve"),
    "codec": ("codec", "Encode, decode and inspect numeric containers.", "codec"),
    "train": ("train", "Train a model from labels.", "train"),
    "evaluate": ("evaluate", "Print the figures of a model.", "train"),
    "completion": ("completion", "Print the completion script of a shell.", ""),
}


class Verbs(click.Group):
    """A group that imports a verb when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module, _, extra = VERBS[name]
        try:
            command = importlib.import_module(f"tracewinnow.cli.{module}").command
        except ModuleNotFoundError as missing:
            if missing.name and missing.name.startswith("tracewinnow"):
                raise
            if ctx.resilient_parsing:  # a shell asks for completions: it is told nothing rather than an error
                return None
            raise click.ClickException(
                f"`tracewinnow {name}` needs {missing.name}, which is not installed. "
                f"Install it with: pip install 'tracewinnow[{extra}]'"
            ) from missing
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        near = difflib.get_close_matches(name, VERBS, n=2)
        if name not in VERBS and near and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {name!r}. Did you mean {' or '.join(near)}?", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # Not click's own, which imports each command for its help.
        verbs = [CompletionItem(name, help=what) for name, (_, what, _) in VERBS.items() if name.startswith(incomplete)]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what, _) in VERBS.items()])


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Each command has examples: tracewinnow COMMAND --help",
)
@click.version_option(VERSION, prog_name="tracewinnow")
def tracewinnow() -> None:
    """Winnow the telemetry of machine-learning jobs: the cause of a failure at a few percent of its tokens."""


def main() -> None:
    """Entry point of the console script; does not return."""
    try:
        whole_stdout()
        code = tracewinnow(standalone_mode=False)  # that of click's Exit, which is returned here, not raised
        if sys.stdout is not None:
            sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except BadUse as wrong:
        click.echo(f"Error: {wrong}", err=True)
        sys.exit(2)
    except TracewinnowError as wrong:
        click.echo(f"Error: {wrong}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): not an error, and nothing may be written any more.
        drop_stdout()
        sys.exit(1)
    except OSError as wrong:
        if wrong.filename == STDOUT:
            drop_stdout()
        click.echo(f"Error: {wrong.strerror or wrong}" + (f": {wrong.filename}" if wrong.filename else ""), err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)

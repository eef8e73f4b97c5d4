"""The command line's root: verbs that are imported when they are called, and errors as sentences and exit codes."""

from __future__ import annotations

import difflib
import importlib
import sys

import click
from click.shell_completion import CompletionItem

from tracewinnow.cli import VERBS, importing
from tracewinnow.cli.output import STDOUT, drop_stdout, whole_stdout
from tracewinnow.cli.values import refuse_empty
from tracewinnow.schemas.errors import BadUse, TracewinnowError
from tracewinnow.version import VERSION


class Verbs(click.Group):
    """A group that imports a verb when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module, _, extra = VERBS[name]
        try:
            with importing():
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
        refuse_empty(command)
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


def call() -> None:
    """Do what the command line asks for; does not return."""
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

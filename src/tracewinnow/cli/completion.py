"""`tracewinnow completion`: the completion script of a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Examples:
  tracewinnow completion bash > ~/.local/share/bash-completion/completions/tracewinnow
  tracewinnow completion zsh > ~/.zfunc/_tracewinnow      (with ~/.zfunc in $fpath)
  tracewinnow completion fish > ~/.config/fish/completions/tracewinnow.fish
"""
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    It completes commands and options, and is read by the shell when it starts.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "tracewinnow", "_TRACEWINNOW_COMPLETE").source())

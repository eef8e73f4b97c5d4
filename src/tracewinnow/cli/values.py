"""Checks of values that several verbs take."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from tracewinnow.brokers import wrong_address


def refuse_empty(command: click.Command) -> None:
    """Let a verb, and the parts that it has, refuse an empty text where it was given.

    It is mostly that of a shell variable that is not set; taken as it is, it would be the working folder, or as if left out.
    """
    for param in command.params:
        if param.callback is None and param.nargs == 1:
            param.callback = filled
    if isinstance(command, click.Group):
        for part in command.commands.values():
            refuse_empty(part)


def filled(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """A callback: the value. Raises BadParameter where it was given and is empty, or one of several is."""
    given = param.name is not None and ctx.get_parameter_source(param.name) == ParameterSource.COMMANDLINE
    if given and (value == "" or (isinstance(value, tuple) and "" in value)):
        raise click.BadParameter("it is empty; is the shell variable set that it comes from?", ctx, param)
    return value


def brokers(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A callback: addresses of brokers, by comma. Raises BadParameter where they are empty or have a port that cannot be."""
    filled(ctx, param, value)
    if trouble := wrong_address(value or ""):
        raise click.BadParameter(trouble, ctx, param)
    return value

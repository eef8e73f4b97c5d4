"""The option of verbs that ask a warehouse: DuckDB reads its tables, and reads them in a folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

FOLDER_HELP = (
    "Folder of the warehouse; fetch one in a bucket first, e.g. gcloud storage rsync --recursive gs://BUCKET/PREFIX FOLDER. "
    "Env: TRACEWINNOW_WAREHOUSE."
)


def folder_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--warehouse, required, also from the environment."""
    return click.option(
        "--warehouse", type=_Folder(), envvar="TRACEWINNOW_WAREHOUSE", required=True, metavar="FOLDER", help=FOLDER_HELP
    )(command)


class _Folder(click.types.StringParamType):
    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "Give the folder of the warehouse with --warehouse, or set TRACEWINNOW_WAREHOUSE to it."

"""`tracewinnow export`: the training export of a day."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import click

from tracewinnow.cli.common import counted, log_to_stderr, warehouse_option


@click.command(
    epilog="""\b
Examples:
  tracewinnow export --date 2026-11-20 --warehouse warehouse
  tracewinnow export --warehouse gs://telemetry/prod --json     # yesterday
"""
)
@click.option("--date", default=None, metavar="YYYY-MM-DD", help="UTC day; without it, yesterday.")
@warehouse_option
@click.option("--json", "as_json", is_flag=True, help="The manifest on stdout.")
def command(date: str | None, warehouse: str, as_json: bool) -> None:
    """Write the kept segments of a day as Parquet, with a weight for each.

    Of noise, and of progress that only says that it went on, a draw keeps some: sums of their weights estimate, without bias,
    how many there were. Every other segment has weight 1 and stands for itself alone: those are what the budget of a trace had
    room for, and no weight makes up for the rest.

    The same traces give the same bytes; export/dt=DATE/manifest.json is written last and holds counts, versions and checksums.
    """
    log_to_stderr()
    from tracewinnow.pipelines.export import export
    from tracewinnow.schemas.errors import BadUse
    from tracewinnow.serving.warehouse import Warehouse

    try:
        asked = datetime.strptime(date, "%Y-%m-%d") if date else datetime.now(timezone.utc) - timedelta(days=1)
        day = asked.date().isoformat()
    except ValueError as wrong:
        raise BadUse(f"--date {date!r} is not a day: give YYYY-MM-DD, such as 2026-11-20") from wrong
    Warehouse(warehouse)  # or an error that says what to give
    manifest = export(warehouse, day)
    if as_json:
        click.echo(json.dumps(manifest, sort_keys=True))
    else:
        click.echo(
            f"{counted(manifest['rows'], 'segment')} of {counted(manifest['traces'], 'trace')} "
            f"in {counted(len(manifest['shards']), 'file')}:"
        )
        click.echo(f"{warehouse.rstrip('/')}/export/dt={day}/manifest.json")

"""`tracewinnow export`: the training export of a day."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import click

from tracewinnow.cli.common import log_to_stderr, warehouse_option


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
    """Write the kept segments of a day as Parquet, with the weights that make statistics of them unbiased.

    The same traces give the same bytes; export/dt=DATE/manifest.json is written last and holds counts, versions and checksums.
    """
    log_to_stderr()
    from tracewinnow.pipelines.export import export
    from tracewinnow.schemas.errors import BadUse

    day = date or (datetime.now(timezone.utc) - timedelta(days=1)).strftime("%Y-%m-%d")
    try:
        datetime.strptime(day, "%Y-%m-%d")
    except ValueError as wrong:
        raise BadUse(f"--date {day!r} is not a day: give YYYY-MM-DD") from wrong
    manifest = export(warehouse, day)
    if as_json:
        click.echo(json.dumps(manifest, sort_keys=True))
    else:
        click.echo(f"{manifest['rows']} segments of {manifest['traces']} traces in {len(manifest['shards'])} files:")
        click.echo(f"{warehouse.rstrip('/')}/export/dt={day}/manifest.json")

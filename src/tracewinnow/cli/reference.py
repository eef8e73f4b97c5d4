"""`tracewinnow reference`: profiles of what healthy runs print."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from typing import Any

import click

from tracewinnow.cli.common import counted
from tracewinnow.cli.logfiles import BINARY_LOG, healthy, saved_profile
from tracewinnow.cli.output import binary_stdout, target_of, whole
from tracewinnow.schemas.errors import BadInput, BadUse
from tracewinnow.transforms.reference import MOST, Reference

OUT = click.option("--out", required=True, metavar="FILE", help="Profile that is written; - is stdout.")


@click.group(
    epilog="""\b
Examples:
  tracewinnow reference build good-1.log good-2.log.gz --out healthy.json
  tracewinnow preprocess failed.log --reference healthy.json
  tracewinnow reference merge monday.json tuesday.json --out healthy.json
  tracewinnow reference show healthy.json
"""
)
def command() -> None:
    """Make, merge and show profiles of healthy runs.

    A profile holds hashes of the templates that healthy runs print and in how many runs each stood, no text. A line that at
    least half of the runs print is noise, whatever it looks like.
    """


@command.command(
    epilog="""\b
Logs are plain text, .gz, .zst, .xz or .bz2, each of one run that went well; a profile among them counts with its runs. FILE is
written whole or not at all; a profile that is there is replaced, any other file is not.

\b
Examples:
  tracewinnow reference build good-1.log good-2.log.gz --out healthy.json
  kubectl logs job/nightly | tracewinnow reference build - --out healthy.json
"""
)
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@OUT
def build(logs: tuple[str, ...], out: str) -> None:
    """Make a profile of healthy logs."""
    writable(out)
    size = sum(os.path.getsize(name) for name in logs if os.path.isfile(name))
    with click.progressbar(length=size, label="Read", file=sys.stderr, width=30) as bar:
        profile, empty, binary = healthy(logs, bar.update)
    for name in binary:
        click.echo(BINARY_LOG.format(name), err=True)
    for name in empty:
        click.echo(f"Skipped: {name} is empty; a run that printed nothing says nothing", err=True)
    if not profile.runs:
        raise BadInput("empty-log", "none of the logs holds a line: no profile was written")
    write(out, profile)


@command.command(
    epilog="""\b
Examples:
  tracewinnow reference merge monday.json tuesday.json --out week.json
  tracewinnow reference merge healthy.json tonight.json --out healthy.json
"""
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@OUT
def merge(files: tuple[str, ...], out: str) -> None:
    """Count the runs of several profiles together."""
    writable(out)
    merged, seen = Reference(), Counter[str]()
    for name in files:
        one = profile_of(name)
        seen[one.digest()] += 1
        if seen[one.digest()] == 2:
            click.echo(f"Note: {name} is the same profile as one before it; its runs count twice", err=True)
        merged = merged.merge(one)
    write(out, merged)


@command.command(
    epilog="""\b
Examples:
  tracewinnow reference show healthy.json
  tracewinnow reference show healthy.json --json | jq .templates
"""
)
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(file: str, as_json: bool) -> None:
    """Of how many runs a profile is, and what it would call noise."""
    found = facts(profile_of(file))
    click.echo(
        json.dumps(found)
        if as_json
        else "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in found.items())
    )


def facts(profile: Reference) -> dict[str, Any]:
    """What there is to say of a profile."""
    counts = profile.counts.astype(int)
    return {
        "runs": profile.runs,
        "templates": len(counts),
        "in_every_run": int((counts == profile.runs).sum()),
        "noise_in_at_least_half": int((2 * counts >= max(1, profile.runs)).sum()),
        "in_one_run": int((counts == 1).sum()),
        "sha256": profile.digest(),
    }


def profile_of(name: str) -> Reference:
    """A saved profile. Raises BadUse where the file is something else."""
    found = saved_profile(name)
    if found is None:
        raise BadUse(f"{name} is no profile: make one of healthy logs with `tracewinnow reference build`")
    return found


def writable(out: str) -> None:
    """Whether a profile may be written there, where nothing stands or another profile. Raises BadUse where not."""
    if out == "-":
        return
    path = target_of(out)
    if path.exists() and (not path.is_file() or saved_profile(str(path)) is None):
        raise BadUse(f"{out} is there and is no profile: it is not overwritten")


def write(out: str, profile: Reference) -> None:
    """Write the profile, and say what it holds."""
    text = profile.save() + "\n"
    if out == "-":
        with binary_stdout() as stream:
            stream.write(text.encode())
    else:
        with whole(out) as place:
            place.write_text(text)
    name = "profile" if out == "-" else os.path.basename(os.path.realpath(out))
    click.echo(
        f"{name}: {counted(profile.runs, 'run')}, {counted(len(profile.names), 'template')}",
        err=out == "-",
    )
    if len(profile.names) == MOST:
        click.echo(
            f"Note: a profile holds {MOST:,} templates; those that the fewest runs print were left out", err=True
        )

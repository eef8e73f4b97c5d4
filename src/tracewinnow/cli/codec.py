"""`tracewinnow codec`: numeric containers from and to npz, csv and parquet, and what is in them."""

from __future__ import annotations

import json
from typing import Any

import click

from tracewinnow.cli.codec_files import (
    FORMATS,
    kind_of,
    not_the_same,
    read,
    read_table,
    write,
    write_sparse,
    write_table,
)
from tracewinnow.codec import (
    CodecError,
    container,
    decode_bundle,
    decode_series,
    decode_sparse,
    encode_series,
    encode_sparse,
)
from tracewinnow.codec.inspect import describe
from tracewinnow.schemas.errors import BadUse, TracewinnowError


@click.group(
    epilog="""\b
Examples:
  tracewinnow codec encode norms.npz norms.twc --rel-error 1e-3
  tracewinnow codec decode norms.twc norms.csv
  tracewinnow codec inspect norms.twc
  cat norms.csv | tracewinnow codec encode --from csv - - | tracewinnow codec decode --to parquet - out.parquet
"""
)
def command() -> None:
    """Encode, decode and inspect numeric containers."""


@command.command(
    epilog="""\b
A csv or parquet file has a column for each series; a column called `step` holds the steps. In an npz file the array
--array holds the samples (steps, names), `names` and `steps` their names and steps, if they are there.

\b
Examples:
  tracewinnow codec encode run.npz run.twc --array grad_norm --rel-error 1e-3
  tracewinnow codec encode metrics.parquet metrics.twc --json
  tracewinnow codec encode activations.npz activations.twc --sparse
"""
)
@click.argument("source")
@click.argument("target")
@click.option("--from", "kind", type=click.Choice(FORMATS), help="Format of SOURCE; else from its name.")
@click.option("--array", help="Array of an npz file; needed if it has several.")
@click.option("--rel-error", type=float, help="Largest relative error of a sample; lossless without a bound.")
@click.option("--abs-error", type=float, help="Largest absolute error of a sample.")
@click.option("--sparse", is_flag=True, help="The array is one sparse tensor of any rank.")
@click.option("--json", "as_json", is_flag=True, help="Sizes as JSON, on stderr if the container goes to stdout.")
def encode(
    source: str, target: str, kind: str | None, array: str | None, rel_error: float | None, abs_error: float | None,
    sparse: bool, as_json: bool,
) -> None:  # fmt: skip
    """Encode SOURCE (npz, csv, parquet; - is stdin) into the container TARGET (- is stdout)."""
    not_the_same(source, target)
    values, names, steps = read_table(source, kind or kind_of(source), array)
    try:
        if sparse:
            if abs_error is not None:
                raise BadUse("--abs-error is not for sparse tensors; use --rel-error")
            data = encode_sparse(values, rel_error=rel_error)
        else:
            data = encode_series(values, names=names, steps=steps, rel_error=rel_error, abs_error=abs_error)
    except CodecError as wrong:
        raise BadUse(str(wrong)) from None
    write(target, data)
    each, ratio = len(data) / max(values.size, 1), values.nbytes / len(data)
    if as_json:
        told = {"samples": values.size, "bytes": len(data), "bytes_per_sample": each, "ratio": ratio}
        click.echo(json.dumps(told), err=target == "-")
    else:
        click.echo(f"{values.size} samples, {len(data)} bytes, {each:.3f} a sample, ratio {ratio:.1f}", err=True)


@command.command(
    epilog="""\b
Examples:
  tracewinnow codec decode run.twc run.npz
  tracewinnow codec decode run.twc - --to csv --name loss --first-step 1000 --last-step 1100
  tracewinnow codec decode unfinished.twc rescued.npz --recover
  tracewinnow codec decode bundle.twc norms.csv --part 4
"""
)
@click.argument("source")
@click.argument("target")
@click.option("--to", "kind", type=click.Choice(FORMATS), help="Format of TARGET; else from its name.")
@click.option("--name", "names", multiple=True, help="Only this series; may be given several times.")
@click.option("--first-step", type=int, help="Only from this step on.")
@click.option("--last-step", type=int, help="Only up to this step.")
@click.option("--recover", is_flag=True, help="Read the whole chunks of a file that was not finished.")
@click.option("--part", type=click.IntRange(min=0), help="Part of a bundle, from 0, as `inspect` lists them.")
def decode(
    source: str, target: str, kind: str | None, names: tuple[str, ...], first_step: int | None, last_step: int | None,
    recover: bool, part: int | None,
) -> None:  # fmt: skip
    """Decode the container SOURCE (- is stdin) into TARGET (npz, csv, parquet; - is stdout)."""
    not_the_same(source, target)
    if first_step is not None and last_step is not None and first_step > last_step:
        raise BadUse(f"--first-step {first_step} is behind --last-step {last_step}: there are no steps between them")
    data = read(source)
    kind = kind or kind_of(target)
    span = None
    if first_step is not None or last_step is not None:
        span = (
            -(2**63) if first_step is None else first_step,
            2**63 if last_step is None else last_step + 1,
        )
    try:
        if kept(data) == container.BUNDLE:
            data = part_of(data, part)
        elif part is not None and container.open_header(memoryview(data)):
            raise BadUse(f"{source} is no bundle and has no parts: leave --part out")
        if kept(data) == container.SPARSE:
            write_sparse(target, decode_sparse(data, coo=True), kind)
            return
        series = decode_series(data, names=list(names) or None, step_range=span, recover=recover)
    except CodecError as wrong:
        raise damaged(source, data, wrong) from None
    if recover:
        click.echo(f"{source}: {recovered(data, len(series.steps), span)}", err=True)
        if not len(series.steps):
            raise TracewinnowError(f"{source}: nothing could be recovered, and {target} was not written")
    write_table(target, series, kind)


@command.command(
    epilog="""\b
Examples:
  tracewinnow codec inspect run.twc
  tracewinnow codec inspect --json run.twc | jq .bytes_per_sample
"""
)
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def inspect(source: str, as_json: bool) -> None:
    """Show the chunks of a container, their sizes, the predictors, and bytes a sample of each series."""
    data = read(source)
    try:
        found = describe(data)
    except CodecError as wrong:
        raise damaged(source, data, wrong) from None
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(", ".join(f"{key} {value}" for key, value in found.items() if not isinstance(value, list)))
    for part in ("parts", "chunks", "series"):
        for row in found.get(part, []):
            click.echo("  " + "  ".join(f"{key} {show(value)}" for key, value in row.items()))


def damaged(source: str, data: bytes, wrong: CodecError) -> TracewinnowError:
    """The codec's error in the words of the command line. Of series alone a part can be read."""
    advice = " (`tracewinnow codec decode --recover` reads what is whole)" if kept(data) == container.SERIES else ""
    return TracewinnowError(f"{source}: {str(wrong).replace(' (recover=True reads what is whole)', advice)}")


def kept(data: bytes) -> int:
    """What is in a container, as its header says; 0 where it is too short for one."""
    return data[5] if len(data) > 5 else 0


def recovered(data: bytes, steps: int, span: tuple[int, int] | None) -> str:
    """How much came back; of how much, where the table of the chunks is whole."""
    try:
        chunks = container.read_table(memoryview(data))
    except CodecError:
        return f"{steps:,} steps recovered; how many there were cannot be known, for the end of the file is missing"
    if span is not None:
        return f"{steps:,} steps of those asked for recovered"
    return f"{steps:,} of {sum(chunk.count for chunk in chunks if chunk.kind == container.DATA):,} steps recovered"


def part_of(data: bytes, number: int | None) -> bytes:
    """A part of a bundle. Raises BadUse where there is none of that number."""
    parts = list(decode_bundle(data))
    if number is None or number >= len(parts):
        raise BadUse(f"a bundle of {len(parts)} parts: choose one with --part, see `tracewinnow codec inspect`")
    return bytes(parts[number].data)


def show(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    # A name from a file may hold what a terminal obeys.
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)

"""`tracewinnow preprocess`: winnow one log down to a token budget."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import click
from google.protobuf.json_format import MessageToJson

from tracewinnow.schemas.errors import BadInput, BadUse
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.pieces import winnow_pieces
from tracewinnow.transforms.reference import FORMAT, Reference
from tracewinnow.transforms.winnow import profile

CHUNK = 16 << 20  # bytes
GZIP, ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
EXAMPLES = """
\b
Examples:
  tracewinnow preprocess train.log --budget 2000
  kubectl logs job/train | tracewinnow preprocess - --budget 1000 --query "why is the loss NaN"
  tracewinnow preprocess failed.log.gz --reference good.log --json | jq .classes
"""


@click.command("preprocess", epilog=EXAMPLES)
@click.argument("file", default="-", metavar="[FILE|-]")
@click.option("--budget", type=int, default=2000, show_default=True, metavar="TOKENS", help="The most tokens to print.")
@click.option("--query", default="", metavar="TEXT", help="What you want to know; lines that speak of it come first.")
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="HEALTHY_LOG",
    help="Log of a run that went well; may be repeated.",
)
@click.option(
    "--workload", default="", metavar="KIND", help="What kind of job this is, in a word: training, inference, data, ci."
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON: segments, classes, counts.")
def command(file: str, budget: int, query: str, references: tuple[str, ...], workload: str, as_json: bool) -> None:
    """Winnow one log down to a token budget.

    Reads FILE (plain text, .gz or .zst; standard input without one) and prints the text to send to a language model: evidence
    verbatim, in order, with a mark …A-B for each range of lines that was left out.
    """
    if budget < 1:
        raise BadUse(f"--budget is {budget}: give a number of tokens of at least 1")
    healthy = [read(name) for name in references]
    profiles = [Reference.load(data.decode("utf8", "replace")) for data in healthy if FORMAT.encode() in data[:200]]
    logs = [data for data in healthy if FORMAT.encode() not in data[:200]]
    reference: Reference | list[bytes] | None = logs or None
    if profiles:
        merged = profile(logs) or Reference()
        for one in profiles:
            merged = merged.merge(one)
        reference = merged
    if file == "-" and sys.stdin.isatty():
        click.echo("Reading standard input until Ctrl-D; give a FILE to read one.", err=True)
    options = Options(budget, query, workload, profile(reference))
    with opened(file) as stream:
        result = winnow_pieces(chunks(stream, file), options)
    for note in result.notes:
        if note.stage == "read":
            click.echo(f"Note: {note.reason}", err=True)
    if as_json:
        click.echo(
            MessageToJson(
                result, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, ensure_ascii=False
            )
        )
    else:
        click.echo(result.text)


def read(name: str) -> bytes:
    """A whole log (see `opened`)."""
    with opened(name) as stream:
        return b"".join(chunks(stream, name))


@contextmanager
def opened(name: str) -> Iterator[IO[bytes]]:
    """A file, unpacked if it is .gz or .zst, or standard input for "-". Raises BadUse where there is none to read."""
    if name == "-":
        yield unpacked(sys.stdin.buffer)
        return
    if Path(name).is_dir():
        raise BadUse(f"{name} is a folder: give one log file (`tracewinnow backfill` reads folders)")
    try:
        file = open(name, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise BadUse(f"there is no file {name}") from None
    except PermissionError:
        raise BadUse(f"{name} may not be read by this user") from None
    with file:
        yield unpacked(file)


def unpacked(stream: IO[bytes]) -> IO[bytes]:
    """What gzip or zstandard packed, known by the first bytes; other data as it is."""
    head = stream.read(4)
    stream = io.BufferedReader(Joined(head, stream))
    if head[:2] == GZIP:
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    if head == ZSTANDARD:
        try:
            import zstandard
        except ModuleNotFoundError as missing:
            raise BadUse(
                "the file is packed with zstandard, which is not installed: pip install zstandard"
            ) from missing
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True))
    return stream


class Joined(io.RawIOBase):
    """The bytes that were read to know a stream by, then the rest of it."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self.head, self.rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        data, self.head = (self.head, b"") if self.head else (self.rest.read(len(target)), b"")
        target[: len(data)] = data
        return len(data)


def chunks(stream: IO[bytes], name: str) -> Iterator[bytes]:
    """The stream in chunks. Raises BadInput where it is packed and broken."""
    while True:
        try:
            chunk = stream.read(CHUNK)
        except (gzip.BadGzipFile, EOFError, zlib.error) as broken:
            raise BadInput("broken-gzip", f"{name} is not whole: {broken}") from broken
        except Exception as broken:
            if type(broken).__name__ != "ZstdError":  # of a package that may not be installed
                raise
            raise BadInput("broken-zstandard", f"{name} is not whole: {broken}") from broken
        if not chunk:
            return
        yield chunk

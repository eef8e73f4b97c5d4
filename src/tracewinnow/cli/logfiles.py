"""Log files as verbs read them: plain, .gz, .zst, .xz or .bz2, in chunks; and healthy ones as a profile."""

from __future__ import annotations

import io
import itertools
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tracewinnow import packed
from tracewinnow.schemas.errors import BadInput, BadUse
from tracewinnow.transforms.pieces import HEAD as BINARY_HEAD
from tracewinnow.transforms.pieces import is_binary
from tracewinnow.transforms.reference import FORMAT, LARGEST, Reference
from tracewinnow.transforms.winnow import names_of

CHUNK = 16 << 20  # bytes
HEAD = 200  # bytes of a file in which a profile says that it is one
BEGINS = f'{{"format": "{FORMAT}", "runs": '.encode()  # as one that was never pretty-printed
BINARY_LOG = "Note: the reference {} is binary data, not a log; what is text in it was looked at"
ZIP = b"PK\3\4"
EMPTY_PATH = "an empty path names no file: is a variable of the shell not set?"

Tell = Callable[[int], None]


def silent(size: int) -> None:
    """Tells nobody."""


def is_profile(head: bytes) -> bool:
    """Whether a file that begins like this is a saved profile, or was one before it was damaged: no log begins nearly so."""
    if head.lstrip()[:1] == b"{" and FORMAT.encode() in head[:HEAD]:
        return True
    alike: int = sum(map(operator.eq, head, BEGINS))
    return alike > 0.8 * len(BEGINS)


def saved_profile(name: str, tell: Tell = silent) -> Reference | None:
    """The profile in a file; None where the file is something else. Raises BadInput where it is damaged or too large."""
    with opened(name, tell) as stream:
        found = chunks(stream, name)
        head = next(found, b"")
        return loaded(itertools.chain([head], found), name) if is_profile(head) else None


def loaded(found: Iterator[bytes], name: str) -> Reference:
    """A profile from its chunks, of LARGEST bytes at most."""
    data = b""
    for chunk in found:
        data += chunk
        if len(data) > LARGEST:
            raise BadInput("reference-too-large", f"{name} has more than the {LARGEST >> 20} MB of a profile")
    try:
        return Reference.load(data.decode("utf8", "replace"))
    except BadInput as wrong:
        raise BadInput(wrong.code, f"{name}: {wrong.reason}") from wrong


def healthy(names: Sequence[str], tell: Tell = silent) -> tuple[Reference, list[str], list[str]]:
    """The profile of healthy logs and saved profiles, which files held nothing, and which are no text.

    Memory is that of a piece of one log.

    tell: called with the bytes read from the files. Raises BadUse and BadInput where a file cannot be read.
    """
    profile, empty, binary = Reference(), [], []
    for name in names:
        with opened(name, tell) as stream:
            found = chunks(stream, name)
            head = next(found, b"")
            everything = itertools.chain([head], found)
            if is_profile(head):
                profile = profile.merge(loaded(everything, name))
            elif head:
                if is_binary(head[:BINARY_HEAD]):
                    binary.append(name)
                profile.add(names_of(everything))
            else:
                empty.append(name)
    return profile, empty, binary


@contextmanager
def opened(name: str, tell: Tell = silent) -> Iterator[IO[bytes]]:
    """A file, unpacked if it is .gz, .zst, .xz or .bz2, or standard input for "-". Raises BadUse where there is none to read."""
    if name == "-":
        if sys.stdin is None:
            raise BadUse("standard input is closed: give a file")
        yield unpacked(sys.stdin.buffer, tell)
        return
    if not name:
        raise BadUse(EMPTY_PATH)
    if Path(name).is_dir():
        raise BadUse(f"{name} is a folder: give one log file (`tracewinnow backfill` reads folders)")
    try:
        file = open(name, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise BadUse(f"there is no file {name}") from None
    except PermissionError:
        raise BadUse(f"{name} may not be read by this user") from None
    with file:
        yield unpacked(file, tell)


def unpacked(stream: IO[bytes], tell: Tell = silent) -> IO[bytes]:
    """What gzip, zstandard, xz or bzip2 packed, known by the first bytes; other data as it is. Raises BadUse for a .zip."""
    head = stream.read(4)
    stream = io.BufferedReader(Joined(head, stream, tell))
    if head == ZIP:
        raise BadUse("this is a zip archive, which may hold several files: unpack it, and give the log in it")
    try:
        return packed.unpacked(stream, head)
    except ModuleNotFoundError as missing:
        raise BadUse("the file is packed with zstandard, which is not installed: pip install zstandard") from missing


class Joined(io.RawIOBase):
    """The bytes that were read to know a stream by, then the rest of it."""

    def __init__(self, head: bytes, rest: IO[bytes], tell: Tell) -> None:
        self.head, self.rest, self.told = head, rest, tell

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        data, self.head = (self.head, b"") if self.head else (self.rest.read(len(target)), b"")
        target[: len(data)] = data
        self.told(len(data))
        return len(data)


def chunks(stream: IO[bytes], name: str) -> Iterator[bytes]:
    """The stream in chunks. Raises BadInput where it is packed and broken."""
    while True:
        try:
            chunk = stream.read(CHUNK)
        except Exception as broken:
            found = packed.format_of(stream)
            if not found or not packed.is_damage(broken):
                raise
            what = "standard input" if name == "-" else name
            raise BadInput(f"broken-{found}", f"{what}, packed with {found}, is not whole: {broken}") from broken
        if not chunk:
            return
        yield chunk

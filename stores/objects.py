"""Objects: named bytes that are written whole or not at all.

Names are `/`-separated segments, and no name is the folder of another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol
from urllib.parse import unquote_to_bytes

from tracewinnow.schemas.errors import BadUse

SEGMENT_LIMIT = 200  # bytes of an escaped name; file systems allow 255
NAME_LIMIT = 1024  # bytes of a whole object name; Cloud Storage's limit

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_ESCAPED = [chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in range(256)]


class ObjectInfo(NamedTuple):
    """name: relative to the store's root; size: bytes."""

    name: str
    size: int


class ObjectStore(Protocol):
    """Named bytes under one root. Safe from many threads and processes, and picklable.

    Every method blocks. Raises Transient where asking again may help, StoreError where it will not, BadUse for a name
    that no object can have (see `check_name`).
    """

    def put(self, name: str, data: bytes, *, if_absent: bool = False) -> bool:
        """Write `data` whole or not at all; readers see the old object or the new one, never a part.

        Durable when it returns. if_absent: leave an object that is already there, and return False; else True.
        """

    def get(self, name: str) -> bytes:
        """The object's bytes. Raises NotFound."""

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`; fewer at the end, none beyond it. Raises NotFound."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Objects whose name begins with `prefix` (any text, not only whole segments), in the order of their names."""

    def folders(self, prefix: str = "") -> Iterator[str]:
        """The segments that follow `prefix` ("" or ending in "/") in names that go on below them, each once."""

    def delete(self, name: str) -> None:
        """Remove it; nothing happens where it is not there."""

    def exists(self, name: str) -> bool:
        """Is there an object of this name?"""


def open_objects(uri: str) -> ObjectStore:
    """The store at "some/folder" (made when first written to) or "gs://bucket/prefix". Raises BadUse."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme == "file":
        from tracewinnow.stores.local_objects import LocalObjects

        return LocalObjects(rest if separator else uri)
    if scheme == "gs":
        from tracewinnow.stores.gcs_objects import GcsObjects

        bucket, _, prefix = rest.partition("/")
        return GcsObjects(bucket, prefix.strip("/"))
    raise BadUse(f"No store for {uri!r}: give a folder, or gs://BUCKET/PREFIX.")


def check_name(name: str) -> str:
    """The name, if an object can have it. Raises BadUse.

    Segments are not empty, and do not begin with a dot: that is where temporary files live, and where "." and ".."
    would lead out of the root.
    """
    if "\0" in name or len(name.encode("utf-8", "surrogatepass")) > NAME_LIMIT:
        raise BadUse(f"No object can be named {name[:80]!r}: names have at most {NAME_LIMIT} bytes, and no NUL.")
    for segment in name.split("/"):
        if not segment or segment[0] == ".":
            raise BadUse(f"No object can be named {name!r}: a segment is empty or begins with a dot.")
    return name


def escape(outside: str) -> str:
    """One segment of an object name for any text from outside, such as a job id; different texts never share one.

    Letters, digits, "-", "_" and inner "." stay; every other byte of the UTF-8 form becomes %XX. What would be longer
    than SEGMENT_LIMIT bytes is cut and ends in "~" and its SHA-256, and cannot be turned back. "" becomes "~".

    >>> escape("../etc/passwd"), escape("run 7"), escape("llama-3.1_8b")
    ('%2E.%2Fetc%2Fpasswd', 'run%207', 'llama-3.1_8b')
    """
    raw = outside.encode("utf-8", "surrogatepass")
    if not raw:
        return "~"
    whole = _percent(raw[: SEGMENT_LIMIT + 1])
    if len(whole) <= SEGMENT_LIMIT:
        return whole
    return f"{_percent(raw[:40])}~{hashlib.sha256(raw).hexdigest()}"


def _percent(raw: bytes) -> str:
    text = "".join([_ESCAPED[byte] for byte in raw])
    return "%2E" + text[1:] if text.startswith(".") else text


def unescape(segment: str) -> str | None:
    """The text that `escape` made the segment from; None where only its hash is left, or `escape` did not make it."""
    if "~" in segment:
        return "" if segment == "~" else None
    try:
        return unquote_to_bytes(segment).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None

"""What can be wrong: with the bytes (corrupt, truncated, too new) or with the caller (bad argument)."""

from __future__ import annotations


class CodecError(Exception):
    """Root of the codec's errors. offset: where in the input, in bytes from its beginning, if known."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (at byte {offset})")
        self.message = message
        self.offset = offset

    def __reduce__(self) -> tuple[type, tuple[str, int | None]]:
        return type(self), (self.message, self.offset)


class Corrupt(CodecError):
    """The bytes contradict themselves, a checksum, or FORMAT.md. Reading them again will not help."""


class Truncated(CodecError):
    """The bytes end too early. What came before may be read: see `recover`."""


class TooNew(CodecError):
    """Written by a later version of the format: install a newer tracewinnow."""


class BadArgument(CodecError, ValueError):
    """The caller asked for something that cannot be; the bytes are not at fault."""

"""What can go wrong in a store, beside `Transient` (retry it) and `BadUse` (change the call)."""

from __future__ import annotations

from tracewinnow.schemas.errors import TracewinnowError


class StoreError(TracewinnowError):
    """A store refused, and asking again will not help: no right to write, a full disk, no such bucket."""


class NotFound(StoreError):
    """No object of that name."""


class CorruptObject(StoreError):
    """An object is not what was written: cut short, damaged, or of another kind. name: the object; reason: in words."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is damaged: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.name, self.reason)


class TooNew(CorruptObject):
    """An object in a later version of the format than this software reads."""


class TooLarge(StoreError):
    """More bytes than the caller allowed; nothing was read."""

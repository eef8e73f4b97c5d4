"""LEB128 integers, and a cursor that never reads past its end."""

from __future__ import annotations

import struct

from .errors import Corrupt, Truncated


def zigzag(value: int) -> int:
    """Signed to unsigned, small magnitudes first: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def unzigzag(value: int) -> int:
    return value >> 1 if not value & 1 else -((value + 1) >> 1)


def varint(value: int) -> bytes:
    """LEB128 of 0 <= value < 2**64.

    >>> varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int) -> bytes:
    return varint(zigzag(value))


def section(data: bytes) -> bytes:
    """Bytes with their length before them."""
    return varint(len(data)) + data


class Cursor:
    """Reads from data[at:end]; base is the offset of data in the file, for messages."""

    def __init__(self, data: bytes | memoryview, at: int = 0, end: int | None = None, base: int = 0) -> None:
        self.data = memoryview(data)
        self.at = at
        self.end = len(self.data) if end is None else end
        self.base = base

    def left(self) -> int:
        return self.end - self.at

    def corrupt(self, message: str) -> Corrupt:
        return Corrupt(message, self.base + self.at)

    def take(self, size: int) -> memoryview:
        if size > self.end - self.at:
            raise Truncated(f"{size} bytes expected, {self.end - self.at} left", self.base + self.at)
        self.at += size
        return self.data[self.at - size : self.at]

    def u8(self) -> int:
        return self.take(1)[0]

    def varint(self, most: int = (1 << 64) - 1) -> int:
        """The next varint; Corrupt if it is above most or longer than needed."""
        data, at, end = self.data, self.at, self.end
        value = shift = 0
        while at < end:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise self.corrupt("varint with a superfluous byte")
                if value > most:
                    raise self.corrupt(f"{value} is above the limit of {most}")
                self.at = at
                return value
            shift += 7
            if shift == 70:
                raise self.corrupt("varint of more than 10 bytes")
        raise Truncated("a varint goes beyond the end", self.base + at)

    def signed(self) -> int:
        return unzigzag(self.varint())

    def f64(self) -> float:
        value: float = struct.unpack("<d", self.take(8))[0]
        return value

    def section(self) -> memoryview:
        return self.take(self.varint())

    def part(self) -> Cursor:
        """Cursor over the section at the cursor, which moves behind it."""
        part = self.section()
        return Cursor(part, base=self.base + self.at - len(part))

    def done(self) -> None:
        """Corrupt unless everything was read."""
        if self.at != self.end:
            raise self.corrupt(f"{self.end - self.at} bytes too many")

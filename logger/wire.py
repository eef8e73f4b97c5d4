"""Events as protobuf bytes, written by hand.

The job process must not import protobuf: it costs 80 ms, and a job may have a version of its own, even one written in
Python. These functions give exactly the bytes of `tracewinnow.schemas.telemetry_pb2` (a property test compares them).
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

# Stream and DType of telemetry.proto
STDOUT, STDERR, LOGGING, API = 1, 2, 3, 4
FLOAT32, FLOAT64 = 1, 2
ITEM_BYTES = {FLOAT32: 4, FLOAT64: 8, 3: 2, 4: 2, 5: 8, 6: 4, 7: 4}  # of every DType
ACCELERATORS = {"": 0, "tpu": 1, "gpu": 2, "cpu": 3}
LONGEST_TEXT = 256 << 10  # bytes of a log line; what is longer goes into several events
CONTINUED = b" [tracewinnow: continued in the next event]"
MISSING = b" [tracewinnow: output is missing here]"  # ends what stands of the line before it
_DOUBLE = struct.Struct("<d")


def varint(n: int) -> bytes:
    """A base-128 varint; negative numbers are their 64-bit two's complement, as int32 and int64 have it."""
    if 0 <= n < 128:
        return bytes((n,))
    if 0 <= n < 1 << 14:
        return bytes((n & 127 | 128, n >> 7))
    if 1 << 56 <= n < 1 << 63:  # a time of today in nanoseconds, unrolled
        return bytes(
            (
                n & 127 | 128,
                n >> 7 & 127 | 128,
                n >> 14 & 127 | 128,
                n >> 21 & 127 | 128,
                n >> 28 & 127 | 128,
                n >> 35 & 127 | 128,
                n >> 42 & 127 | 128,
                n >> 49 & 127 | 128,
                n >> 56,
            )
        )
    n &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def text_bytes(text: str) -> bytes:
    """UTF-8 for a `bytes` field: what came in through surrogateescape goes out as it was; never raises."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return text.encode("utf-8", "backslashreplace")


def string(text: str) -> bytes:
    """UTF-8 for a `string` field, which must be valid."""
    return text.encode("utf-8", "backslashreplace")


def blob(field: int, data: bytes) -> bytes:
    """A length-delimited field, written even when empty."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def _text(field: int, value: str) -> bytes:
    return blob(field, string(value)) if value else b""


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""


def _map(field: int, values: Mapping[str, str]) -> bytes:
    # Both are written even when empty, as every protobuf runtime does for entries of a map.
    return b"".join(blob(field, blob(1, string(key)) + blob(2, string(value))) for key, value in sorted(values.items()))


def split_text(text: bytes, longest: int = LONGEST_TEXT) -> list[bytes]:
    """Pieces of at most `longest` bytes and a mark, that give the text when the marks are taken off; never inside a
    character of UTF-8."""
    pieces, at = [], 0
    while len(text) - at > longest:
        cut = at + longest
        while cut > at + longest - 4 and text[cut] & 0xC0 == 0x80:
            cut -= 1
        pieces.append(text[at:cut] + CONTINUED)
        at = cut  # and not a copy of the rest: a text of 100 MB has 400 of them
    return [*pieces, text[at:]]


def kind(number: int, body: bytes) -> bytes:
    """What stands in the oneof of an Event; the time stands in front of it, see `event`."""
    return blob(number, body)


def event(time_ns: int, payload: bytes) -> bytes:
    """A whole Event from its time and what one of the functions below made."""
    return _number(1, time_ns) + payload


def log(text: bytes, stream: int, level: int = 0, logger: str = "") -> bytes:
    """A LogLine."""
    body = (blob(1, text) if text else b"") + _number(2, stream) + _text(3, logger) + _number(4, level)
    return kind(2, body)


def metrics(step: int, values: Iterable[tuple[str, float]]) -> bytes:
    """Metrics."""
    body = [_number(1, step)]
    for name, value in values:
        packed = _DOUBLE.pack(value)
        body.append(blob(2, _text(1, name) + (b"\x11" + packed if packed != b"\0" * 8 else b"")))
    return kind(5, b"".join(body))


def layers(step: int, statistic: str, names: Iterable[str], dtype: int, values: bytes, count: int) -> bytes:
    """LayerStats; values: `count` numbers of dtype, little-endian."""
    vector = _number(1, dtype) + blob(2, varint(count)) + (blob(3, values) if values else b"")
    body = _number(1, step) + _text(2, statistic) + b"".join(blob(3, string(name)) for name in names) + blob(4, vector)
    return kind(3, body)


def memory(device: str, used: int, reserved: int, peak: int, limit: int) -> bytes:
    """Memory, in bytes."""
    body = _text(1, device) + _number(2, used) + _number(3, reserved) + _number(4, peak) + _number(5, limit)
    return kind(6, body)


def span(name: str, category: str, start_ns: int, duration_ns: int, device: str, error: str) -> bytes:
    """A Span."""
    body = _text(1, name) + _text(2, category) + _number(3, start_ns) + _number(4, duration_ns)
    return kind(7, body + _text(5, device) + _text(6, error))


def start(argv: Iterable[str], cwd: str, versions: Mapping[str, str], config: Mapping[str, str]) -> bytes:
    """A JobStart."""
    body = b"".join(blob(1, string(word)) for word in argv) + _text(2, cwd) + _map(3, versions) + _map(4, config)
    return kind(8, body)


def stop(exit_code: int, reason: str) -> bytes:
    """A JobStop."""
    return kind(9, _number(1, exit_code) + _text(2, reason))


def crash(
    reported_by: str,
    message: str,
    exit_code: int | None = None,
    signal: int | None = None,
    exception_type: str = "",
    traceback: str = "",
) -> bytes:
    """A JobCrash; exit_code and signal are None where unknown."""
    body = (
        (b"" if exit_code is None else b"\x08" + varint(exit_code))
        + (b"" if signal is None else b"\x10" + varint(signal))
        + _text(3, exception_type)
        + _text(4, message)
        + _text(5, traceback)
        + _text(6, reported_by)
    )
    return kind(10, body)


def batch_head(
    job_id: str,
    process_uuid: str,
    sequence: int,
    created_ns: int,
    accelerator: int,
    model: str,
    user: str,
    host: str,
    pid: int,
    rank: int | None,
    world_size: int | None,
    sender: str,
    labels: Mapping[str, str],
) -> bytes:
    """A TelemetryBatch up to its events; append each event with `blob(15, event)`."""
    return (
        _text(1, job_id)
        + _text(2, process_uuid)
        + _number(3, sequence)
        + _number(4, created_ns)
        + _number(5, accelerator)
        + _text(6, model)
        + _text(7, user)
        + _text(8, host)
        + _number(9, pid)
        + (b"" if rank is None else b"\x50" + varint(rank))
        + (b"" if world_size is None else b"\x58" + varint(world_size))
        + _text(12, sender)
        + _map(13, labels)
    )

"""What is wrong with a file is said by the right error, with the place."""

import io
import pickle
import struct
import threading

import numpy as np
import pytest
import zstandard

from tracewinnow.codec import (
    BadArgument,
    CodecError,
    Corrupt,
    Span,
    TooNew,
    Truncated,
    backend,
    container,
    decode_series,
    decode_spans,
    decode_sparse,
    decode_text,
    encode_series,
    encode_spans,
    encode_sparse,
    encode_text,
)
from tracewinnow.codec.limits import MAX_NAMES_BYTES
from tracewinnow.codec.varint import Cursor, section, signed, varint

DATA = encode_series(np.linspace(1, 2, 4000, dtype=np.float32).reshape(1000, 4), rel_error=1e-3)


def test_every_beginning_of_a_file_is_truncated_or_corrupt() -> None:
    for size in range(len(DATA)):
        with pytest.raises((Truncated, Corrupt)):
            decode_series(DATA[:size])


def test_every_flipped_byte_is_noticed() -> None:
    for at in range(len(DATA)):
        changed = bytearray(DATA)
        changed[at] ^= 0x55
        with pytest.raises(CodecError):
            decode_series(bytes(changed))


@pytest.mark.parametrize(
    ("at", "value", "error"),
    [(0, 0, Corrupt), (4, 2, TooNew), (4, 0, Corrupt), (5, 9, BadArgument), (6, 1, TooNew)],
)
def test_the_header(at: int, value: int, error: type[CodecError]) -> None:
    changed = bytearray(DATA)
    changed[at] = value
    with pytest.raises(error):
        decode_series(bytes(changed))


def test_unknown_chunks_are_skipped_or_too_new() -> None:
    chunks = container.read_table(memoryview(DATA))
    parts = []
    for chunk in chunks:
        body = container.payload(memoryview(DATA), chunk)
        parts.append((chunk.kind, bytes(body.take(body.left())), chunk.count, chunk.low, chunk.span))
    skipped = container.pack(container.SERIES, [*parts, (200, b"from later", 0, 0, 0)])
    assert decode_series(skipped).values.shape == (1000, 4)
    with pytest.raises(TooNew):
        decode_series(container.pack(container.SERIES, [*parts, (20, b"from later", 0, 0, 0)]))


def test_a_reader_of_another_kind_says_so() -> None:
    made = [encode_series(np.zeros((1, 1), np.float32)), encode_sparse(np.zeros(2, np.float32))]
    made += [encode_text(b"a"), encode_spans([Span("a", 1, 2)])]
    for kind, reader in enumerate([decode_series, decode_sparse, decode_text, decode_spans]):
        for other, data in enumerate(made):
            if kind == other:
                reader(data)
            else:
                with pytest.raises(BadArgument):
                    reader(data)


def test_a_tile_that_asks_for_more_than_the_limit_is_refused_before_anything_is_made() -> None:
    tile = varint(1 << 20) + varint(4096) + b"\x01"
    body = varint(0) + varint(1 << 20) + b"\x01" + signed(0) + signed(1) + varint(len(tile)) + tile
    meta = b"\x01" + varint(4096) + b"\x00\x00"
    data = container.pack(container.SERIES, [(2, meta, 0, 0, 0), (3, body, 1 << 20, 0, 0)])
    with pytest.raises(BadArgument, match="max_bytes"):
        decode_series(data, max_bytes=1 << 20)
    with pytest.raises(Corrupt, match="tile"):
        decode_series(data, max_bytes=1 << 40)


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**63, 2**64 - 1])
def test_varints(value: int) -> None:
    assert Cursor(varint(value)).varint() == value
    for number in (value, -value):
        if -(2**63) <= number < 2**63:
            assert Cursor(signed(number)).signed() == number


@pytest.mark.parametrize("data", [b"\x80\x00", b"\xff" * 10, b"\xff" * 11])
def test_varints_that_are_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt):
        Cursor(data).varint()


def test_errors_tell_the_place_and_survive_pickling() -> None:
    wrong = Corrupt("checksum differs", 12)
    back = pickle.loads(pickle.dumps(wrong))
    assert (str(back), back.offset) == ("checksum differs (at byte 12)", 12)
    assert issubclass(BadArgument, ValueError)


def test_threads_do_not_disturb_each_other() -> None:
    values = np.exp(np.random.default_rng(0).normal(size=(20_000, 8))).astype(np.float32)
    expected = encode_series(values, rel_error=1e-3)
    found: list[bool] = []

    def work() -> None:
        for _ in range(5):
            data = encode_series(values, rel_error=1e-3)
            found.append(data == expected and decode_series(data).values.shape == values.shape)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20


def test_missing_kernels_say_how_to_build_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, package: str | None = None) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(backend.importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"build_ext.*TRACEWINNOW_PURE=1"):
        backend.load("kernels")


def test_a_memoryview_and_big_endian_values_do_as_well() -> None:
    values = np.linspace(1, 2, 100).astype(">f4")
    series = decode_series(memoryview(encode_series(values)))
    assert np.array_equal(series.values[:, 0], values)
    file = io.BytesIO(encode_series(values))
    assert struct.unpack("<4s", file.read(4)) == (b"\x93TWC",)


def test_names_are_not_larger_than_the_result_may_be() -> None:
    """Names of 10 MB are 1 kB in the container."""
    names = zstandard.compress(bytes(10 << 20), 9)
    meta = bytes([1]) + varint(1 << 20) + b"\0\1" + section(names)
    data = container.pack(container.SERIES, [(container.META, meta, 0, 0, 0)])
    assert len(data) < 2000
    with pytest.raises(Corrupt, match="at most 1048576"):
        decode_series(data, max_bytes=1 << 20)
    meta = bytes([1]) + varint(1 << 20) + b"\0\1" + section(b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little"))
    data = container.pack(container.SERIES, [(container.META, meta, 0, 0, 0)])
    with pytest.raises(Corrupt, match=f"at most {MAX_NAMES_BYTES}"):
        decode_series(data)

"""Packed files are known by how they begin."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard

from tracewinnow.packed import PACKED, Frames, format_of, is_damage, unpacked

SKIPPED = b"\x5a\x2a\x4d\x18" + (300).to_bytes(4, "little") + b"\x28\xb5\x2f\xfd" * 75  # a frame without content


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, lzma.compress, bz2.compress, bytes])
@pytest.mark.parametrize("content", [b"", b"one\ntwo\n" * 5000])
def test_what_was_packed_comes_out(pack: Callable[[bytes], bytes], content: bytes) -> None:
    data = pack(content)
    assert unpacked(io.BytesIO(data), data[:4]).read() == content
    assert data.startswith(PACKED) == (pack is not bytes)


def test_several_frames_are_one() -> None:
    content = b"a line\n"
    for pack in (gzip.compress, zstandard.compress, lzma.compress, bz2.compress):
        data = pack(content) * 2
        assert unpacked(io.BytesIO(data), data[:4]).read() == content * 2


class OneByOne(io.BytesIO):
    """Gives less than it is asked for."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(1)


def frame(checksum: bool, size: bool) -> tuple[bytes, bytes, list[int]]:
    """(content, one frame of it, where its blocks end): compressed, raw, repeated and empty blocks."""
    parts = [b"a line\n" * 50, random.Random(7).randbytes(40), bytes(300_000), b"", b"last\n"]
    content = b"".join(parts)
    packer = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=size).compressobj(
        len(content) if size else -1
    )
    data, ends = b"", []
    for part in parts:
        data += packer.compress(part) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        ends.append(len(data))
    return content, data + packer.flush(), ends


@pytest.mark.parametrize("source", [io.BytesIO, OneByOne])
@pytest.mark.parametrize("size", [True, False])
@pytest.mark.parametrize("checksum", [True, False])
def test_a_frame_of_zstandard_that_is_cut_anywhere_is_not_whole(
    checksum: bool, size: bool, source: Callable[[bytes], io.BytesIO]
) -> None:
    content, data, ends = frame(checksum, size)
    assert unpacked(source(data), data[:4]).read() == content
    for cut in (*range(4, len(data)), *ends):
        for before in (b"", data, data + SKIPPED):
            torn = before + data[:cut]
            with pytest.raises(EOFError, match="before the end of its last frame"):
                unpacked(source(torn), torn[:4]).read()


@pytest.mark.parametrize("checksum", [True, False])
def test_all_whole_blocks_of_a_cut_frame_are_given(checksum: bool) -> None:
    parts = [random.Random(n).randbytes(20_000).hex().encode() for n in range(3)]
    packer = zstandard.ZstdCompressor(write_checksum=checksum).compressobj()
    data, ends = b"", []
    for part in parts:
        data += packer.compress(part) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        ends.append(len(data))
    data += packer.flush()
    for cut in sorted({*ends, *(end + by for end in ends for by in (-9, -1, 1, 2, 4, 6) if end + by < len(data))}):
        whole = b"".join(part for part, end in zip(parts, ends, strict=True) if end <= cut)
        stream = unpacked(io.BytesIO(data[:cut]), data[:4])
        assert b"".join(stream.read(100) for _ in range(len(whole) // 100)) == whole
        with pytest.raises(EOFError):
            stream.read(1)


def test_frames_and_what_is_skipped_between_them() -> None:
    content, data, _ = frame(True, True)
    for joined, times in ((data + SKIPPED, 1), (data + SKIPPED * 2 + data, 2), (data * 3, 3)):
        assert unpacked(io.BytesIO(joined), joined[:4]).read() == content * times
    for cut in (1, 4, 7, 8, 100):
        torn = data + SKIPPED[:-cut]
        with pytest.raises(EOFError):
            unpacked(io.BytesIO(torn), torn[:4]).read()
    for cut in (1, 2, 3):  # of the next frame's first four bytes
        with pytest.raises(EOFError):
            unpacked(io.BytesIO(data + data[:cut]), data[:4]).read()


@pytest.mark.parametrize("level", [1, 3, 19])
def test_lengths_are_those_of_the_packer(level: int) -> None:
    numbers = random.Random(level)
    for size in (0, 1, 255, 256, 70_000, 200_000):
        content = bytes(numbers.choices(b"abcdef\n", k=size // 2)) + numbers.randbytes(size - size // 2)
        frames = Frames(io.BytesIO(zstandard.compress(content, level)))
        while frames.read(7):
            pass
        assert frames.whole
        cut = Frames(io.BytesIO(zstandard.compress(content, level)[:-1]))
        while cut.read(7):
            assert not cut.whole


def test_a_large_frame_takes_little_memory() -> None:
    packer = zstandard.ZstdCompressor().compressobj()
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    assert len(data) < 1 << 16
    tracemalloc.start()
    try:
        stream, size = unpacked(io.BytesIO(data), data[:4]), 0
        while chunk := stream.read(1 << 16):
            size += len(chunk)
        assert size == 256 << 20
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def checked(content: bytes) -> bytes:
    """A frame of zstandard with a checksum, without which not all damage shows."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


@pytest.mark.parametrize(
    ("pack", "name"),
    [(gzip.compress, "gzip"), (checked, "zstandard"), (lzma.compress, "xz"), (bz2.compress, "bzip2"), (bytes, "")],
)  # fmt: skip
def test_what_packed_it_and_what_is_damage(pack: Callable[[bytes], bytes], name: str) -> None:
    data = pack(random.Random(7).randbytes(5000))
    assert format_of(unpacked(io.BytesIO(data), data[:4])) == name
    middle = len(data) // 2
    for wrong in (data[:-1], data[:middle], data[:middle] + bytes(900) + data[middle + 900 :]):
        if name:
            with pytest.raises(Exception) as failed:  # noqa: PT011 - of many types
                unpacked(io.BytesIO(wrong), data[:4]).read()
            assert is_damage(failed.value)
    assert not is_damage(OSError(5, "Input/output error"))
    assert not is_damage(ValueError("read of closed file"))


def test_the_file_is_closed_with_what_is_unpacked() -> None:
    source = io.BytesIO(zstandard.compress(b"x"))
    with unpacked(source, source.getvalue()[:4]) as stream:
        assert stream.read() == b"x"
    assert source.closed

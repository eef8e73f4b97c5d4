"""Packed files are known by how they begin."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

import pytest
import zstandard

from tracewinnow.packed import PACKED, unpacked


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

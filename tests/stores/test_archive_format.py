"""The bytes of an archive object: round trips, a file of the first version, and damage of any kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.stores import archive_format
from tracewinnow.stores.archive_format import (
    BATCH_LIMIT,
    ENTRY,
    HEAD,
    ArchivedBatch,
    Index,
    decode_block,
    decode_index,
    encode,
    index_end,
    pack_entry,
)
from tracewinnow.stores.errors import CorruptObject, TooNew

GOLDEN = Path(__file__).parent / "golden/archive_v1.twa"
GOLDEN_BATCHES = [
    ArchivedBatch(
        f"{process:032x}", sequence, 1_700_000_000_000_000_000 + sequence % 1000, b"line %d\n" % sequence * 20
    )
    for process in (1, 0xABCDEF)
    for sequence in (0, 1, 2**63 - 1)
]


def pack(job_id: str, window: int, batches: list[ArchivedBatch]) -> bytes:
    return encode(job_id, window, {pack_entry(batch): batch.data for batch in batches})


def unpack(data: bytes) -> tuple[Index, list[ArchivedBatch]]:
    index = decode_index("name", data[: index_end("name", data)], len(data))
    batches = []
    for block in index.blocks:
        frame = data[block.start : block.start + block.length]
        inside = index.entries[block.first : block.last]
        for entry, raw in zip(inside, decode_block("name", block, index.entries, frame), strict=True):
            batch = ArchivedBatch(entry[0].hex(), entry[1], entry[2], raw)
            assert pack_entry(batch) == ENTRY.pack(*entry)
            batches.append(batch)
    return index, batches


batch_lists = st.lists(
    st.builds(
        ArchivedBatch,
        st.binary(min_size=16, max_size=16).map(bytes.hex),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**63 - 1),
        st.binary(max_size=300),
    ),
    max_size=20,
    unique_by=lambda batch: batch[:2],
)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50), st.integers(0, 2**63 - 1), batch_lists)
def test_round_trip(job_id: str, window: int, batches: list[ArchivedBatch]) -> None:
    index, found = unpack(pack(job_id, window, batches))
    assert (index.job_id, index.window_start_ns) == (job_id, window)
    assert found == sorted(batches)


def test_blocks_are_cut_at_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_format, "BLOCK_BYTES", 1000)
    sizes = [400, 600, 1, 999, 1, 5000, 0, 10]
    batches = [ArchivedBatch("0" * 32, place, 0, bytes([place]) * size) for place, size in enumerate(sizes)]
    index, found = unpack(pack("job", 0, batches))
    assert [(block.first, block.last, block.raw) for block in index.blocks] == [
        (0, 2, 1000),
        (2, 4, 1000),
        (4, 5, 1),
        (5, 6, 5000),
        (6, 8, 10),
    ]
    assert found == batches


def test_a_file_of_the_first_version() -> None:
    """Written once by the version that made the format, read for ever. To make one for a new version: run this file."""
    index, found = unpack(GOLDEN.read_bytes())
    assert (index.job_id, index.window_start_ns) == ("golden/jöb", 1_700_000_000_000_000_000)
    assert found == GOLDEN_BATCHES


def damaged(data: bytes) -> None:
    with pytest.raises(CorruptObject, match="name is damaged"):
        unpack(data)


def test_every_cut_is_found() -> None:
    whole = GOLDEN.read_bytes()
    for length in range(len(whole)):
        damaged(whole[:length])
    damaged(whole + b"\0")


def test_every_flipped_bit_is_found() -> None:
    whole = GOLDEN.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            damaged(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: GOLDEN.read_bytes()[: HEAD.size] + tail))
def test_no_bytes_do_harm(data: bytes) -> None:
    damaged(data)


def test_a_later_version_says_so() -> None:
    whole = bytearray(GOLDEN.read_bytes())
    whole[5] = 2
    with pytest.raises(TooNew, match=r"version 2 .* reads up to 1: update it"):
        unpack(bytes(whole))


def test_sizes_are_checked_before_memory_is_taken() -> None:
    """A head that claims 4 GiB, with a right checksum."""
    import zlib

    head = HEAD.pack(b"\x93TWA", 1, 0, 0, 2**32 - 1, 2**32 - 1, 100, 0, 0)[:-4]
    damaged(head + zlib.crc32(head).to_bytes(4, "big") + bytes(200))


def test_what_the_format_cannot_hold() -> None:
    with pytest.raises(ValueError, match="32 lower-case hex"):
        pack_entry(ArchivedBatch("A" * 32, 0, 0, b""))
    with pytest.raises(ValueError, match="32 lower-case hex"):
        pack_entry(ArchivedBatch("", 0, 0, b""))
    with pytest.raises(ValueError, match="a job id of"):
        encode("x" * 5000, 0, {})
    with pytest.raises(ValueError, match="a batch of"):
        pack_entry(ArchivedBatch("0" * 32, 0, 0, bytes(BATCH_LIMIT + 1)))


if __name__ == "__main__":
    golden = GOLDEN.with_name(f"archive_v{archive_format.VERSION}.twa")
    assert not golden.exists(), "a released version's file is never written again"
    golden.write_bytes(pack("golden/jöb", 1_700_000_000_000_000_000, GOLDEN_BATCHES))

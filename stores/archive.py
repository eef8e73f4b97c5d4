"""The archive of raw telemetry: every accepted batch, under its job and window, before anything is derived from it.

    archive/<escaped job id>/<window start, 20 digits>/<digest>.twa

The digest is the SHA-256 over names, times and contents of the batches inside: writing the same batches again, in any
order, writes the same object again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from tracewinnow.stores import archive_format
from tracewinnow.stores.archive_format import ArchivedBatch, Entry, Index
from tracewinnow.stores.errors import CorruptObject, TooLarge
from tracewinnow.stores.objects import ObjectInfo, ObjectStore, escape, unescape

__all__ = ["Archive", "ArchivedBatch", "BatchName", "Entry", "Window"]

ROOT = "archive/"
START_BYTES = 64 << 10  # read at first: a small object whole, the index of a large one

BatchName = tuple[str, int]  # process_uuid, sequence


class Window(NamedTuple):
    """The batches of a job in a window.

    batches: one a name, ordered by (process_uuid, sequence). conflicts: batches that had the name of one of these, but
    other content; the content with the smallest SHA-256 is the one that counts.
    """

    batches: list[ArchivedBatch]
    conflicts: list[ArchivedBatch]


class Archive:
    """Reads and writes the archive in an object store. Blocks; raises what the store raises. Picklable."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def write(self, job_id: str, window_start_ns: int, batches: Sequence[ArchivedBatch]) -> str:
        """Write batches as one object, and return its name; durable on return, and no change if it is there already.

        Raises ValueError for no batches, and for what the format cannot hold (see archive_format).
        """
        if not batches or window_start_ns < 0:
            raise ValueError(f"{len(batches)} batches for window {window_start_ns}: there must be some, after 1970")
        content = {archive_format.entry_of(batch): batch.data for batch in batches}
        entries = sorted(content, key=_order)
        digest = hashlib.sha256(b"".join(map(archive_format.pack_entry, entries))).hexdigest()
        name = f"{_folder(job_id, window_start_ns)}{digest}.twa"
        data = archive_format.encode(job_id, window_start_ns, entries, [content[entry] for entry in entries])
        self.store.put(name, data, if_absent=True)
        return name

    def read(
        self,
        job_id: str,
        window_start_ns: int,
        *,
        names: Collection[BatchName] | None = None,
        max_bytes: int | None = None,
    ) -> Window:
        """The batches of a window, or those of `names`; none where nothing is archived.

        A batch that was archived twice is decompressed once. Raises TooLarge, before any batch is read, for more than
        `max_bytes` of batches, and CorruptObject for an object that is not as it was written.
        """
        opened = list(self._open(job_id, window_start_ns))
        winners, conflicts = _resolve(entry for found in opened for entry in found.contents.entries)
        if names is not None:
            chosen = names if isinstance(names, (set, frozenset)) else set(names)
            winners = {name: entry for name, entry in winners.items() if name in chosen}
            conflicts = {entry for entry in conflicts if entry[:2] in chosen}
        total = sum(entry.length for entry in winners.values()) + sum(entry.length for entry in conflicts)
        if max_bytes is not None and total > max_bytes:
            raise TooLarge(
                f"Window {window_start_ns} of job {job_id!r} holds {total} bytes, {max_bytes} are allowed: "
                "read it in parts, planned with index()."
            )
        wanted = conflicts.union(winners.values())  # emptied while reading, so that each is read once
        read = sorted([pair for found in opened for pair in self._batches(found, wanted)], key=_first)
        kept = [batch for entry, batch in read if winners[entry[:2]] == entry]
        return Window(kept, [batch for entry, batch in read if entry in conflicts])

    def index(self, job_id: str, window_start_ns: int) -> list[Entry]:
        """Name, record time and size of every batch that `read` would return, in its order; no batch is read."""
        opened = self._open(job_id, window_start_ns)
        return sorted(_resolve(entry for found in opened for entry in found.contents.entries)[0].values())

    def windows(self, job_id: str) -> list[int]:
        """Start of every window of a job, in Unix nanoseconds, ascending."""
        folders = self.store.folders(_folder(job_id))
        return sorted(int(folder) for folder in folders if folder.isascii() and folder.isdigit())

    def jobs(self) -> Iterator[str]:
        """Every job that has a window, each once; in no promised order."""
        for folder in self.store.folders(ROOT):
            job_id = unescape(folder)
            if job_id is not None:
                yield job_id
                continue
            # Only a hash is left of a long name; the objects know it.
            for info in self.store.list(f"{ROOT}{folder}/"):
                yield self._open_object(info).contents.job_id
                break

    def _open(self, job_id: str, window_start_ns: int) -> Iterator[_Opened]:
        for info in self.store.list(_folder(job_id, window_start_ns)):
            found = self._open_object(info)
            if (found.contents.job_id, found.contents.window_start_ns) != (job_id, window_start_ns):
                raise CorruptObject(
                    info.name, f"it is of job {found.contents.job_id!r}, window {found.contents.window_start_ns}"
                )
            yield found

    def _open_object(self, info: ObjectInfo) -> _Opened:
        start = self.store.get_range(info.name, 0, START_BYTES)
        end = archive_format.index_end(info.name, start)
        if end > len(start):
            start += self.store.get_range(info.name, len(start), min(end, info.size) - len(start))
        index = archive_format.decode_index(info.name, start, info.size)
        return _Opened(info, start if len(start) == info.size else b"", index)

    def _batches(self, found: _Opened, wanted: set[Entry]) -> Iterator[tuple[Entry, ArchivedBatch]]:
        """The wanted batches of an object, which are taken out of `wanted`."""
        entries = found.contents.entries
        blocks = [block for block in found.contents.blocks if not wanted.isdisjoint(entries[block.first : block.last])]
        if not blocks:
            return
        data, offset = found.data, 0
        first, last = blocks[0].start, blocks[-1].start + blocks[-1].length
        if last > len(data):
            data, offset = self.store.get_range(found.info.name, first, last - first), first
        view = memoryview(data)
        for block in blocks:
            frame = view[block.start - offset : block.start - offset + block.length]
            inside = entries[block.first : block.last]
            for entry, raw in zip(
                inside, archive_format.decode_block(found.info.name, block, entries, frame), strict=True
            ):
                if entry in wanted:
                    wanted.remove(entry)
                    yield entry, ArchivedBatch(entry.process_uuid, entry.sequence, entry.created_ns, raw)


class _Opened(NamedTuple):
    info: ObjectInfo
    data: bytes  # the object, where it was small enough to be read whole; else empty
    contents: Index


def _folder(job_id: str, window_start_ns: int | None = None) -> str:
    return f"{ROOT}{escape(job_id)}/" + ("" if window_start_ns is None else f"{window_start_ns:020d}/")


def _first(pair: tuple[Entry, ArchivedBatch]) -> Entry:
    return pair[0]


def _order(entry: Entry) -> tuple[str, int, bytes, int]:
    return entry.process_uuid, entry.sequence, entry.digest, entry.created_ns


def _resolve(entries: Iterator[Entry]) -> tuple[dict[BatchName, Entry], set[Entry]]:
    """The entry that counts for each name, and the others that have one of these names."""
    winners: dict[BatchName, Entry] = {}
    conflicts: set[Entry] = set()
    for entry in entries:
        other = winners.setdefault(entry[:2], entry)
        if other != entry:
            small, large = sorted((other, entry), key=_order)
            winners[entry[:2]] = small
            conflicts.add(large)
    return winners, conflicts

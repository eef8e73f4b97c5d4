"""The archive of raw telemetry: every accepted batch, under its job and window, before anything is derived from it.

    archive/<escaped job id>/<window start, 20 digits>/<digest>.twa

The digest is the SHA-256 over names, times and contents of the batches inside: writing the same batches again, in any
order, writes the same object again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from tracewinnow.stores import archive_format
from tracewinnow.stores.archive_format import LENGTH, ArchivedBatch, Index, RawEntry
from tracewinnow.stores.errors import CorruptObject, TooLarge
from tracewinnow.stores.objects import ObjectInfo, ObjectStore, escape, unescape

__all__ = ["PART_BYTES", "Archive", "ArchivedBatch", "BatchName", "Entry", "Window", "plan_parts"]

LOG = logging.getLogger(__name__)
ROOT = "archive/"
START_BYTES = 64 << 10  # read at first: a small object whole, the index of a large one
PART_BYTES = 64 << 20  # a window that holds more raw bytes is made into several traces

BatchName = tuple[str, int]  # process_uuid, sequence


class Entry(NamedTuple):
    """What the index tells of a batch: its name, record time, length in bytes and SHA-256."""

    process_uuid: str
    sequence: int
    created_ns: int
    length: int
    digest: bytes


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
        content = {archive_format.pack_entry(batch): batch.data for batch in batches}
        digest = hashlib.sha256(b"".join(sorted(content))).hexdigest()
        name = f"{_folder(job_id, window_start_ns)}{digest}.twa"
        data = archive_format.encode(job_id, window_start_ns, content)
        if not self.store.put(name, data, if_absent=True) and self._damaged(name, len(data)):
            self.store.put(name, data)
        return name

    def _damaged(self, name: str, size: int) -> bool:
        """Whether an object that is there already, and should have this size, cannot be opened."""
        try:
            found = next((info for info in self.store.list(name) if info.name == name), None)
            return found is None or found.size != size or not self._open_object(found)
        except CorruptObject:
            return True

    def read(
        self,
        job_id: str,
        window_start_ns: int,
        *,
        names: Collection[BatchName] | None = None,
        max_bytes: int | None = None,
        damaged: list[CorruptObject] | None = None,
    ) -> Window:
        """The batches of a window, or those of `names`; none where nothing is archived.

        A batch that was archived twice is decompressed once. Raises TooLarge, before any batch is read, for more than
        `max_bytes` of batches, and CorruptObject for an object that is not as it was written. damaged: takes these errors
        instead, an object once; the window is then what can still be read of it.
        """
        opened = list(self._open(job_id, window_start_ns, damaged))
        winners, conflicts = _resolve([entry for found in opened for entry in found.contents.entries])
        if names is not None:
            chosen = {(bytes.fromhex(process_uuid), sequence) for process_uuid, sequence in names}
            winners = {name: winners[name] for name in chosen & winners.keys()}
            conflicts = {entry for entry in conflicts if entry[:2] in chosen}
        wanted = conflicts.union(winners.values())  # emptied while reading, so that each is read once
        total = sum([entry[LENGTH] for entry in wanted])
        if max_bytes is not None and total > max_bytes:
            raise TooLarge(
                f"Window {window_start_ns} of job {job_id!r} holds {total} bytes, {max_bytes} are allowed: "
                "read it in parts, planned with index()."
            )
        window = Window([], [])
        read: dict[RawEntry, bytes] = {}
        for found in opened:
            try:
                for entry, data in self._batches(found, wanted):
                    read[entry] = data
                    wanted.discard(entry)
            except CorruptObject as wrong:  # what it held may stand in another object as well
                if damaged is None:
                    raise
                damaged.append(wrong)
        for entry in sorted(read):
            batch = ArchivedBatch(entry[0].hex(), entry[1], entry[2], read[entry])
            (window.conflicts if entry in conflicts else window.batches).append(batch)
        return window

    def index(self, job_id: str, window_start_ns: int, *, damaged: list[CorruptObject] | None = None) -> list[Entry]:
        """Name, record time and size of every batch that `read` would return, in its order; no batch is read.

        damaged: takes the errors of objects whose index cannot be read, which are left out then.
        """
        opened = self._open(job_id, window_start_ns, damaged)
        winners, _ = _resolve([entry for found in opened for entry in found.contents.entries])
        return [Entry(entry[0].hex(), *entry[1:]) for entry in sorted(winners.values())]

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
                try:
                    yield self._open_object(info).contents.job_id
                    break
                except CorruptObject as damaged:  # another object of the job may tell
                    LOG.warning("%s; a job whose name it holds is looked for in its other objects", damaged)

    def _open(self, job_id: str, window_start_ns: int, damaged: list[CorruptObject] | None) -> Iterator[_Opened]:
        for info in self.store.list(_folder(job_id, window_start_ns)):
            try:
                found = self._open_object(info)
                if (found.contents.job_id, found.contents.window_start_ns) != (job_id, window_start_ns):
                    raise CorruptObject(
                        info.name, f"it is of job {found.contents.job_id!r}, window {found.contents.window_start_ns}"
                    )
            except CorruptObject as wrong:
                if damaged is None:
                    raise
                damaged.append(wrong)
                continue
            yield found

    def _open_object(self, info: ObjectInfo) -> _Opened:
        start = self.store.get_range(info.name, 0, START_BYTES)
        end = archive_format.index_end(info.name, start)
        if end > len(start):
            start += self.store.get_range(info.name, len(start), min(end, info.size) - len(start))
        index = archive_format.decode_index(info.name, start, info.size)
        return _Opened(info, start if len(start) == info.size else b"", index)

    def _batches(self, found: _Opened, wanted: set[RawEntry]) -> Iterator[tuple[RawEntry, bytes]]:
        """The wanted batches of an object, as far as it is whole. Raises CorruptObject at the first block that is not."""
        name, entries = found.info.name, found.contents.entries
        mine = wanted.intersection(entries)
        blocks = [block for block in found.contents.blocks if not mine.isdisjoint(entries[block.first : block.last])]
        if not blocks:
            return
        data, offset = found.data, 0
        if not data:
            offset = blocks[0].start
            data = self.store.get_range(name, offset, blocks[-1].start + blocks[-1].length - offset)
        view = memoryview(data)
        for block in blocks:
            frame = view[block.start - offset : block.start - offset + block.length]
            batches = archive_format.decode_block(name, block, entries, frame)
            for entry, raw in zip(entries[block.first : block.last], batches, strict=True):
                if entry in mine:
                    yield entry, raw


class _Opened(NamedTuple):
    info: ObjectInfo
    data: bytes  # the object, where it was small enough to be read whole; else empty
    contents: Index


def plan_parts(entries: Iterable[Entry], limit: int = PART_BYTES) -> list[list[BatchName]]:
    """Cut a window into parts of at most `limit` raw bytes (or one batch), in the order of record time.

    Pure, so that everybody who looks at the same batches cuts alike.
    """
    parts: list[list[BatchName]] = []
    size = 0
    for entry in sorted(entries, key=lambda e: (e.created_ns, e.process_uuid, e.sequence)):
        if not parts or size + entry.length > limit:
            parts.append([])
            size = 0
        parts[-1].append((entry.process_uuid, entry.sequence))
        size += entry.length
    return parts


def _folder(job_id: str, window_start_ns: int | None = None) -> str:
    return f"{ROOT}{escape(job_id)}/" + ("" if window_start_ns is None else f"{window_start_ns:020d}/")


def _resolve(entries: Sequence[RawEntry]) -> tuple[dict[tuple[bytes, int], RawEntry], set[RawEntry]]:
    """The entry that counts for each name, and the others that have one of these names."""
    winners = {entry[:2]: entry for entry in entries}
    if len(winners) == len(entries):
        return winners, set()
    conflicts = set()
    for entry in entries:
        other = winners[entry[:2]]
        if other != entry:
            small, large = sorted((other, entry), key=_by_content)
            winners[entry[:2]] = small
            conflicts.add(large)
    return winners, conflicts


def _by_content(entry: RawEntry) -> tuple[bytes, int]:
    return entry[4], entry[2]

"""Dead letters as files of the table, under names that a retry, a bundle cut elsewhere and a rebuild repeat.

Those of a window stand in a file for what they tell of, which the next build of it writes anew. Those of records are many, and
bundles are cut by chance: a file holds those of a bundle and a partition, and none that an earlier file holds already.
"""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq

from tracewinnow.pipelines.build import READ_WINDOW
from tracewinnow.pipelines.building import letter_name
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.tables import Row, date_of, dead_letter_row
from tracewinnow.stores.errors import NotFound
from tracewinnow.stores.objects import ObjectStore
from tracewinnow.stores.parquet_tables import ROOT, ParquetTables

TABLE = "dead_letters"
WRITE_TRACES = "WriteTraces"  # the step's name, which its dead letters carry
OF_PARTS = ("Denoise", "Compress", "Rank", WRITE_TRACES)  # steps whose letters tell of a part of a window
REASON_CHARS = 4000

Identity = tuple[
    int, bytes, str
]  # of a refused record in its partition: a topic that was made anew counts from 0 again


def letter_row(letter: DeadLetter) -> Row:
    """The row of a dead letter; its reason may quote what somebody sent, and is cut."""
    return {**dead_letter_row(letter), "reason": cut(letter.reason, REASON_CHARS)}


def cut(text: str, most: int) -> str:
    """The text, or its beginning and how long it was."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def window_name(letter: DeadLetter) -> str | None:
    """Name of the file for a letter about a window or a part of one; None for one about a record."""
    if letter.stage == READ_WINDOW:
        return _digest(letter.topic)
    return part_name(letter.topic, letter.partition) if letter.stage in OF_PARTS else None


def part_name(topic: str, part: int) -> str:
    """One file for all steps: a part fails at one of them, and not at that at which it failed before."""
    return _digest(f"part/{topic}/{part}")


class LetterFiles:
    """Writes the files. Blocks on the store. A writer beside it may write a record's letter too; none is ever lost."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.tables = ParquetTables(store)

    def write(self, letters: Iterable[DeadLetter]) -> list[str]:
        """Write what is not there yet; returns the names of the files. A letter of a window without a code empties its file."""
        windows: defaultdict[tuple[str, str], dict[bytes, DeadLetter]] = defaultdict(dict)
        records: defaultdict[tuple[str, str], dict[Identity, DeadLetter]] = defaultdict(dict)
        for letter in letters:
            date, name = date_of(letter.time_ns), window_name(letter)
            if name is None:
                records[date, f"{_digest(letter.topic)[:16]}_{letter.partition}_"][_identity(letter)] = letter
            else:
                held = windows[date, name]
                if letter.code:
                    held[letter.SerializeToString(deterministic=True)] = letter
        written = []
        for (date, name), held in windows.items():
            if held or self.tables.has(TABLE, date, name):
                written.append(self._put(date, name, [held[key] for key in sorted(held)]))
        for (date, prefix), found in records.items():
            new = self._new(date, prefix, found)
            if new:
                name = f"{prefix}{new[0][0]}_{new[-1][0]}_{_digest(repr(new))[:16]}"
                written.append(self._put(date, name, [found[key] for key in new]))
        return written

    def built(self, topic: str, part: int, window_start_ns: int) -> None:
        """A part of a window was built and written: take out the letters that say that it could not be."""
        date = date_of(window_start_ns)
        for name in (part_name(topic, part), *([letter_name(topic)] if part == 0 else [])):
            if self.tables.has(TABLE, date, name):
                self._put(date, name, [])

    def _put(self, date: str, name: str, letters: Collection[DeadLetter]) -> str:
        self.tables.write(TABLE, date, name, [letter_row(letter) for letter in letters])
        return f"{_folder(date)}{name}.parquet"

    def _new(self, date: str, prefix: str, letters: Collection[Identity]) -> list[Identity]:
        """Those of the letters that no file holds, in order. Offsets grow, so that nearly always no file has to be opened."""
        new = set(letters)
        first, last = min(new)[0], max(new)[0]
        for info in self.store.list(_folder(date) + prefix):
            low, high = map(int, info.name.rsplit("_", 3)[1:3])
            if low <= last and first <= high:
                new.difference_update(self._held(info.name))
        return sorted(new)

    def _held(self, name: str) -> set[Identity]:
        """What a file holds; nothing where it is damaged: better to have a letter twice."""
        with suppress(NotFound, pa.ArrowException, OSError):
            table = pq.read_table(io.BytesIO(self.store.get(name)), columns=["offset", "original", "code"])
            return {(row["offset"], _hash(row["original"]), row["code"]) for row in table.to_pylist()}
        return set()


def _folder(date: str) -> str:
    return f"{ROOT}/{TABLE}/dt={date}/"


def _identity(letter: DeadLetter) -> Identity:
    return letter.offset, _hash(letter.original), letter.code


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

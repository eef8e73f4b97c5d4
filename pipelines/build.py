"""Key of a window -> its traces, read whole from the archive: late data, retries and rebuilds give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import IntervalWindow
from apache_beam.utils.timestamp import Duration, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.stores.archive import Archive, ArchivedBatch, Window, plan_parts
from tracewinnow.stores.errors import CorruptObject, TooLarge
from tracewinnow.stores.objects import open_objects
from tracewinnow.transforms.assemble import assemble
from tracewinnow.transforms.trace import Trace
from tracewinnow.version import VERSION

FAILED = "failed"


def read_window(archive: Archive, key: WindowKey, settings: Settings) -> Iterator[Trace | ArchivedBatch]:
    """The traces of a window, one for each part, and batches whose name is taken by other content. Blocks on the store."""
    try:
        windows: Iterable[Window] = [archive.read(*key, max_bytes=settings.part_bytes)]
        revision = len(next(iter(windows)).batches)
    except TooLarge:
        entries = archive.index(*key)
        revision = len(entries)
        windows = (archive.read(*key, names=names) for names in plan_parts(entries, settings.part_bytes))
    for part, window in enumerate(windows):
        yield from window.conflicts
        yield assemble(
            (batch.data for batch in window.batches),
            window_start_ns=key[1],
            window_end_ns=key[1] + settings.window_ns,
            part=part,
            revision=revision,
        )


class ReadWindowFn(beam.DoFn):
    """WindowKey -> Trace; DeadLetter to the output `failed`. A key that comes twice in a bundle is read once.

    What cannot be read because an object is damaged becomes a dead letter that names it: the rest of the pipeline goes on.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def setup(self) -> None:
        self.archive = Archive(open_objects(self.settings.warehouse))

    def start_bundle(self) -> None:
        self.keys: set[WindowKey] = set()

    def process(self, key: WindowKey) -> None:
        self.keys.add(key)

    def finish_bundle(self) -> Iterator[Any]:
        for key in sorted(self.keys):
            yield from self._read(key)

    def _read(self, key: WindowKey) -> Iterator[Any]:
        start = Timestamp(micros=key[1] // 1000)
        window = IntervalWindow(start, start + Duration(micros=self.settings.window_ns // 1000))
        stamp = WindowedValue(None, start, [window])
        letter = DeadLetter(topic=f"archive/{key[0]}/{key[1]}", stage="ReadWindow", version=VERSION, time_ns=key[1])
        try:
            for found in read_window(self.archive, key, self.settings):
                if isinstance(found, Trace):
                    yield stamp.with_value(found)
                    continue
                letter.code, letter.original, letter.offset = "name-taken", found.data, found.sequence
                letter.reason = (
                    f"process {found.process_uuid} sent two different batches with sequence {found.sequence}: "
                    "a process must not start its sequence again; the other one was kept"
                )
                yield beam.pvalue.TaggedOutput(FAILED, stamp.with_value(_copy(letter)))
        except CorruptObject as damaged:
            letter.code, letter.reason = "corrupt-archive", str(damaged)
            yield beam.pvalue.TaggedOutput(FAILED, stamp.with_value(_copy(letter)))


def _copy(letter: DeadLetter) -> DeadLetter:
    copy = DeadLetter()
    copy.CopyFrom(letter)
    return copy

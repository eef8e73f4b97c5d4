"""Key of a window -> its traces, read whole from the archive: late data, retries and rebuilds give the same bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import IntervalWindow
from apache_beam.utils.timestamp import Duration, Timestamp
from apache_beam.utils.windowed_value import WindowedValue
from google.protobuf.message import DecodeError

from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.stores.archive import Archive, ArchivedBatch, BatchName, Window, plan_parts
from tracewinnow.stores.errors import CorruptObject, TooLarge
from tracewinnow.stores.objects import open_objects
from tracewinnow.transforms.assemble import assemble
from tracewinnow.transforms.trace import Trace
from tracewinnow.version import VERSION

LOG = logging.getLogger(__name__)
FAILED = "failed"
READ_WINDOW = "ReadWindow"  # the step's name, which its dead letters carry


def read_window(
    archive: Archive, key: WindowKey, settings: Settings
) -> Iterator[Trace | ArchivedBatch | CorruptObject]:
    """The traces of a window, one for each part, and batches whose name is taken by other content. Blocks on the store.

    A damaged object is told, and the window is built without what only it held: the ranges of its processes show the hole, and
    the lower revision does not take the place of a trace that knew more.
    """
    damaged: list[CorruptObject] = []
    try:
        window = archive.read(*key, max_bytes=settings.part_bytes, damaged=damaged)
        revision = len(window.batches)
        windows: Iterable[Window] = [window] if window.batches or not damaged else []
    except TooLarge:
        damaged.clear()
        entries = archive.index(*key, damaged=damaged)
        revision = len(entries)
        windows = _parts(archive, key, plan_parts(entries, settings.part_bytes), damaged)
    for part, window in enumerate(windows):
        if not window.batches and damaged:
            continue
        yield from window.conflicts
        yield assemble(
            (batch.data for batch in window.batches),
            window_start_ns=key[1],
            window_end_ns=key[1] + settings.window_ns,
            part=part,
            revision=revision,
        )
    yield from {wrong.name: wrong for wrong in damaged}.values()


def _parts(
    archive: Archive, key: WindowKey, plan: Iterable[list[BatchName]], damaged: list[CorruptObject]
) -> Iterator[Window]:
    """The parts of a window; an empty one for a part that is not whole: it would be stored as if it were."""
    known = {wrong.name for wrong in damaged}  # their batches are in no part
    for number, names in enumerate(plan):
        here: list[CorruptObject] = []
        window = archive.read(*key, names=names, damaged=here)
        lost = [wrong for wrong in here if wrong.name not in known]
        damaged += [CorruptObject(wrong.name, f"{wrong.reason}; part {number} was not built") for wrong in lost]
        yield Window([], []) if lost else window


class ReadWindowFn(beam.DoFn):
    """WindowKey -> Trace; DeadLetter to the output `failed`. A key that comes twice in a bundle is read once.

    What cannot be read because an object is damaged, or not be put together, becomes a dead letter that names it: the rest of the
    pipeline goes on.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.dead = Metrics.counter("tracewinnow", "dead_letters")
        self.damaged = Metrics.counter("tracewinnow", "damaged_objects")

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
        letter = DeadLetter(topic=f"archive/{key[0]}/{key[1]}", stage=READ_WINDOW, version=VERSION, time_ns=key[1])
        try:
            for found in read_window(self.archive, key, self.settings):
                if isinstance(found, Trace):
                    yield stamp.with_value(found)
                    continue
                if isinstance(found, CorruptObject):
                    LOG.warning("%s; what only it held is missing", found)
                    self.damaged.inc()
                    letter.code, letter.original, letter.offset = "corrupt-archive", b"", 0
                    letter.reason = str(found)
                    yield self._refused(stamp, letter)
                    continue
                letter.code, letter.original, letter.offset = "name-taken", found.data, found.sequence
                letter.reason = (
                    f"process {found.process_uuid} sent two different batches with sequence {found.sequence}: "
                    "a process must not start its sequence again; the other one was kept"
                )
                yield self._refused(stamp, letter)
        except (ValueError, ArithmeticError, DecodeError) as wrong:  # what validation let through, and should not have
            letter.code = "cannot-assemble"
            letter.reason = f"{wrong}; the batches stand in the archive, `tracewinnow rebuild` reads them again"
            yield self._refused(stamp, letter)

    def _refused(self, stamp: WindowedValue, letter: DeadLetter) -> Any:
        self.dead.inc()
        copy = DeadLetter()
        copy.CopyFrom(letter)
        return beam.pvalue.TaggedOutput(FAILED, stamp.with_value(copy))

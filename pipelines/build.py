"""Key of a window -> its traces, read whole from the archive: late data, retries and rebuilds give the same bytes."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import IntervalWindow
from apache_beam.utils.timestamp import Duration, Timestamp
from apache_beam.utils.windowed_value import WindowedValue
from google.protobuf.message import DecodeError

from tracewinnow.pipelines.known import known_batches
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.errors import Transient
from tracewinnow.stores.archive import Archive, ArchivedBatch, BatchName, Window, plan_parts
from tracewinnow.stores.errors import CorruptObject, TooLarge
from tracewinnow.stores.objects import open_objects
from tracewinnow.transforms.assemble import assemble
from tracewinnow.transforms.trace import Trace
from tracewinnow.version import VERSION

LOG = logging.getLogger(__name__)
FAILED = "failed"
READ_WINDOW = "ReadWindow"  # the step's name, which its dead letters carry
STAYS = "the window stays as it was built before"


def read_window(
    archive: Archive, key: WindowKey, settings: Settings
) -> Iterator[Trace | ArchivedBatch | CorruptObject]:
    """The traces of a window, one for each part, and batches whose name is taken by other content. Blocks on the store.

    A damaged object is told, and the window is built without what only it held. Not where a stored trace was made from a batch
    that cannot be read any more: then nothing is built, for it would have the same name as that trace, or a higher revision.
    """
    damaged: list[CorruptObject] = []
    try:
        window = archive.read(*key, max_bytes=settings.part_bytes, damaged=damaged)
        plan = [[(batch.process_uuid, batch.sequence) for batch in window.batches]] if window.batches else []
        whole, revision = plan, len(window.batches)
        windows: Iterable[tuple[int, Window]] = [(0, window)]
    except TooLarge:
        damaged.clear()
        entries = archive.index(*key, damaged=damaged)
        plan = plan_parts(entries, settings.part_bytes)
        whole, revision = _whole(archive, key, plan, damaged), len(entries)
        windows = _parts(archive, key, whole)
    stays = bool(damaged) and not known_batches(archive.store, key).issubset(itertools.chain.from_iterable(whole))
    for part, window in windows:
        yield from window.conflicts
        if window.batches and not stays:
            yield _trace(window, key, part, len(plan), revision, settings)
    for wrong in {wrong.name: wrong for wrong in damaged}.values():
        then = STAYS if stays else "what only it held is missing"
        yield CorruptObject(wrong.name, f"{wrong.reason}; {then}")


def _whole(
    archive: Archive, key: WindowKey, plan: Iterable[list[BatchName]], damaged: list[CorruptObject]
) -> list[list[BatchName]]:
    """The plan with nothing for a part that is not whole, which would be stored as if it were. Reads every part.

    All are read before the first is built: what the last lacks decides whether the window may be built at all.
    """
    found = []
    known = {wrong.name for wrong in damaged}  # their batches are in no part
    for part, names in enumerate(plan):
        here: list[CorruptObject] = []
        whole = len(archive.read(*key, names=names, damaged=here).batches) == len(names)
        why = "" if whole else f"; part {part} was not built"
        damaged += [CorruptObject(wrong.name, wrong.reason + why) for wrong in here if wrong.name not in known]
        found.append(names if whole else [])
    return found


def _parts(archive: Archive, key: WindowKey, whole: Iterable[list[BatchName]]) -> Iterator[tuple[int, Window]]:
    for part, names in enumerate(whole):
        if names:
            window = archive.read(*key, names=names, damaged=[])
            if len(window.batches) < len(names):  # it was whole a moment ago
                raise Transient(f"the archive of job {key[0]!r}, window {key[1]}, changed while it was read")
            yield part, window


def _trace(window: Window, key: WindowKey, part: int, parts: int, revision: int, settings: Settings) -> Trace:
    trace = assemble(
        (batch.data for batch in window.batches),
        window_start_ns=key[1],
        window_end_ns=key[1] + settings.window_ns,
        part=part,
        revision=revision,
    )
    assert trace.job is not None
    trace.job.parts = parts
    return trace


class ReadWindowFn(beam.DoFn):
    """WindowKey -> Trace; DeadLetter to the output `failed`. A key that comes twice in a bundle is read once.

    What cannot be read because an object is damaged, or not be put together, becomes a dead letter that names it: the rest of the
    pipeline goes on. A window of which all is well gives one without a code, which takes out those that it had.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.dead = Metrics.counter("tracewinnow", "dead_letters")
        self.damaged = Metrics.counter("tracewinnow", "damaged_objects")
        self.stayed = Metrics.counter("tracewinnow", "windows_not_rebuilt")
        self.lacking = Metrics.counter("tracewinnow", "windows_lacking")

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
        stays: set[bool] = set()  # of each damaged object, whether the window was left alone for it
        try:
            for found in read_window(self.archive, key, self.settings):
                if isinstance(found, Trace):
                    yield stamp.with_value(found)
                    continue
                if isinstance(found, CorruptObject):
                    LOG.warning("%s", found)
                    self.damaged.inc()
                    stays.add(found.reason.endswith(STAYS))
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
            if not letter.code:  # what an earlier read refused is taken out
                yield beam.pvalue.TaggedOutput(FAILED, stamp.with_value(letter))
        except (ValueError, ArithmeticError, DecodeError) as wrong:  # what validation let through, and should not have
            letter.code, letter.original, letter.offset = "cannot-assemble", b"", 0
            letter.reason = f"{wrong}; the batches stand in the archive, `tracewinnow rebuild` reads them again"
            yield self._refused(stamp, letter)
        if stays:
            (self.stayed if True in stays else self.lacking).inc()

    def _refused(self, stamp: WindowedValue, letter: DeadLetter) -> Any:
        self.dead.inc()
        copy = DeadLetter()
        copy.CopyFrom(letter)
        return beam.pvalue.TaggedOutput(FAILED, stamp.with_value(copy))

"""The graph: a list of named steps, the same for streaming, backfill and rebuild, and for every runner."""

from __future__ import annotations

import apache_beam as beam

from tracewinnow.pipelines.archive import NOW, ArchiveFn
from tracewinnow.pipelines.build import FAILED, ReadWindowFn
from tracewinnow.pipelines.decode import DEAD, DecodeFn
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.pipelines.sinks import WriteDeadLettersFn, WriteTraceFn
from tracewinnow.pipelines.windows import FireWindows
from tracewinnow.transforms.dofns import Stages


def ingest(records: beam.PCollection, settings: Settings) -> tuple[beam.PCollection, beam.PCollection]:
    """list[Record] -> keys of windows to build, and dead letters. What was accepted is in the archive by then."""
    decoded = records | "Decode" >> beam.ParDo(DecodeFn(settings)).with_outputs(DEAD, main="accepted")
    archived = decoded.accepted | "Archive" >> beam.ParDo(ArchiveFn(settings)).with_outputs(NOW, main="written")
    # Stated, not inferred: a tagged output is of type Any, whose coder pickles, and a key needs a deterministic one.
    archived.written.element_type = tuple[WindowKey, int]
    archived[NOW].element_type = WindowKey
    return (archived.written, archived[NOW]) | "FireWindows" >> FireWindows(settings), decoded[DEAD]


def build(keys: beam.PCollection, settings: Settings) -> beam.PCollection:
    """Keys of windows -> traces in the stores; returns dead letters (windows that a stage could not take)."""
    windows = keys | "ReadWindow" >> beam.ParDo(ReadWindowFn(settings)).with_outputs(FAILED, main="traces")
    staged = windows.traces | "Stages" >> Stages(settings.stage)
    _ = staged.done | "WriteTraces" >> beam.ParDo(WriteTraceFn(settings))
    return (windows[FAILED], staged.failed) | "AllFailed" >> beam.Flatten()


def whole(
    records: beam.PCollection | None, due: beam.PCollection | None, settings: Settings
) -> None:
    """From records to stores. due: keys of windows that are to be built anyway (rebuild, or left open by an earlier run)."""
    keys, dead = [], []
    if records is not None:
        fired, refused = ingest(records, settings)
        keys.append(fired)
        dead.append(refused)
    if due is not None:
        keys.append(due)
    all_keys = keys[0] if len(keys) == 1 else keys | "KeysOfBoth" >> beam.Flatten()
    dead.append(build(all_keys, settings))
    _ = dead | "DeadLetters" >> beam.Flatten() | "WriteDeadLetters" >> beam.ParDo(WriteDeadLettersFn(settings))

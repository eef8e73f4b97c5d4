"""The graph: a list of named steps, the same for streaming, backfill and rebuild, and for every runner.

Streaming runners and backfill run it whole; the local runner runs its two halves in two processes, with the windows between
them.
"""

from __future__ import annotations

import apache_beam as beam

from tracewinnow.pipelines.archive import ArchiveFn
from tracewinnow.pipelines.build import FAILED, ReadWindowFn
from tracewinnow.pipelines.decode import DEAD, DecodeFn
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.records import WindowKey
from tracewinnow.pipelines.sinks import WriteDeadLettersFn, WriteTraceFn
from tracewinnow.pipelines.windows import FireWindows
from tracewinnow.transforms.dofns import Stages
from tracewinnow.transforms.trace import Trace


def archive(records: beam.PCollection, settings: Settings) -> beam.PCollection:
    """list[Record] -> (key of a window, build at once?) for what is in the archive by then; the rest is in the dead letters."""
    decoded = records | "Decode" >> beam.ParDo(DecodeFn(settings)).with_outputs(DEAD, main="accepted")
    _ = decoded[DEAD] | "WriteRefused" >> beam.ParDo(WriteDeadLettersFn(settings))
    return decoded.accepted | "Archive" >> beam.ParDo(ArchiveFn(settings)).with_output_types(tuple[WindowKey, bool])


def build(keys: beam.PCollection, settings: Settings) -> None:
    """Keys of windows -> traces in the stores; windows that cannot be read or staged -> dead letters."""
    windows = keys | "ReadWindow" >> beam.ParDo(ReadWindowFn(settings)).with_outputs(FAILED, main="traces")
    windows.traces.element_type = Trace
    _ = windows[FAILED] | "WriteUnread" >> beam.ParDo(WriteDeadLettersFn(settings))
    staged = windows.traces | "Stages" >> Stages(settings.stage)
    for stage, failed in zip(("Denoise", "Compress", "Rank"), staged.failed, strict=True):
        _ = failed | f"WriteFailed{stage}" >> beam.ParDo(WriteDeadLettersFn(settings))
    _ = staged.done | "WriteTraces" >> beam.ParDo(WriteTraceFn(settings))


def whole(records: beam.PCollection, settings: Settings) -> None:
    """From records to stores, in one job."""
    build(archive(records, settings) | "FireWindows" >> FireWindows(settings), settings)

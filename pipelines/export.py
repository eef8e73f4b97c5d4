"""The daily export for retraining: the segments of a day with their weights, as Parquet, and a manifest. Same input, same bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from tracewinnow.pipelines.run import run_here
from tracewinnow.schemas.errors import BadUse
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.errors import CorruptObject
from tracewinnow.stores.objects import ObjectStore, open_objects
from tracewinnow.stores.traces import made_again, read_trace
from tracewinnow.version import VERSION

FORMAT = 1
SHARDS = 8
NAME = re.compile(r"(?P<window>.+)-r(?P<revision>\d{8})-p(?P<part>\d{4})\.binpb$")

COLUMNS = {
    "job_id": "string",
    "trace_id": "string",
    "window_start_ns": "int64",
    "accelerator": "string",
    "model": "string",
    "outcome": "string",  # of the job, as far as this day tells
    "first": "int64",
    "last": "int64",
    "kind": "string",
    "label": "string",
    "confidence": "float64",
    "score": "float64",
    "keep_probability": "float64",
    "weight": "float64",  # 1 / keep_probability: sums over kept noise estimate sums over all of it
    "template": "string",
    "count": "int64",
    "ranks": "int64",  # how many
    "place": "float64",  # of the first line in its trace, 0 to 1
    "text": "string",
    "code_version": "string",
}


def newest(names: Iterable[str]) -> list[str]:
    """Of the trace objects of a day, those of the highest revision of each window, sorted."""
    best: dict[str, tuple[int, list[str]]] = {}
    for name in names:
        found = NAME.match(name)
        if not found:
            continue
        revision = int(found["revision"])
        known = best.get(found["window"])
        if known is None or revision > known[0]:
            best[found["window"]] = (revision, [name])
        elif revision == known[0]:
            known[1].append(name)
    return sorted(name for _, names in best.values() for name in names)


def shard_of(job_id: str) -> int:
    """All of a job is in one shard, so that a split by job is a split by file."""
    return hashlib.sha256(job_id.encode("utf-8", "surrogateescape")).digest()[0] % SHARDS


def rows(traces: Sequence[PreprocessedTrace]) -> list[dict[str, Any]]:
    """Rows of the traces of one shard, in order of job, window, part and segment."""
    ordered = sorted(traces, key=lambda t: (t.job_id, t.window_start_ns, t.part))
    outcomes: dict[str, str] = {}
    for trace in ordered:
        known = outcomes.get(trace.job_id, "")
        outcomes[trace.job_id] = "crashed" if "crashed" in (known, trace.job.outcome) else known or trace.job.outcome
    return [
        {
            "job_id": trace.job_id,
            "trace_id": trace.trace_id,
            "window_start_ns": trace.window_start_ns,
            "accelerator": trace.job.accelerator,
            "model": trace.job.model,
            "outcome": outcomes[trace.job_id],
            "first": segment.first,
            "last": segment.last,
            "kind": segment.kind,
            "label": segment.label,
            "confidence": segment.confidence,
            "score": segment.score,
            "keep_probability": segment.keep_probability,
            "weight": 1.0 / segment.keep_probability if segment.keep_probability > 0 else 0.0,
            "template": segment.template,
            "count": segment.count,
            "ranks": len(segment.ranks),
            "place": segment.first / trace.lines_before if trace.lines_before else 0.0,
            "text": segment.text,
            "code_version": trace.versions.get("tracewinnow", ""),
        }
        for trace in ordered
        for segment in trace.segments
    ]


def to_parquet(found: list[dict[str, Any]]) -> bytes:
    """Rows as a Parquet file; a function of the rows and of the version of Arrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(
        found, schema=pa.schema([pa.field(n, pa.type_for_alias(t)) for n, t in COLUMNS.items()])
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data


class ReadTraceFn(beam.DoFn):
    """Name of a trace object -> (shard, its bytes). Raises CorruptObject: an export that lacks a trace would not tell."""

    def __init__(self, warehouse: str) -> None:
        self.warehouse = warehouse

    def setup(self) -> None:
        self.store = open_objects(self.warehouse)

    def process(self, name: str) -> Iterator[tuple[int, bytes]]:
        try:
            trace = read_trace(self.store, name)
        except CorruptObject as damaged:
            raise CorruptObject(name, f"{damaged.reason}; {made_again(name, self.warehouse)}") from damaged
        yield shard_of(trace.job_id), trace.SerializeToString(deterministic=True)


class WriteShardFn(beam.DoFn):
    """(shard, traces) -> Parquet and an account of it, both under the folder of the day."""

    def __init__(self, warehouse: str, folder: str) -> None:
        self.warehouse = warehouse
        self.folder = folder

    def setup(self) -> None:
        self.store = open_objects(self.warehouse)

    def process(self, grouped: tuple[int, Iterable[bytes]]) -> None:
        shard, found = grouped
        traces = [PreprocessedTrace.FromString(data) for data in found]
        written = rows(traces)
        data = to_parquet(written)
        self.store.put(f"{self.folder}/shard-{shard:02d}.parquet", data)
        account = {
            "name": f"shard-{shard:02d}.parquet",
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "rows": len(written),
            "jobs": len({trace.job_id for trace in traces}),
            "traces": len(traces),
            "labels": dict(sorted(Counter(row["label"] for row in written).items())),
            "versions": sorted({json.dumps(dict(trace.versions), sort_keys=True) for trace in traces}),
            "tokens_before": sum(trace.tokens_before for trace in traces),
            "tokens_after": sum(trace.tokens_after for trace in traces),
            "lines_dropped": sum(c.lines_dropped for trace in traces for c in trace.classes),
        }
        self.store.put(f"{self.folder}/parts/{shard:02d}.json", json.dumps(account, sort_keys=True).encode())


def export(warehouse: str, date: str) -> dict[str, Any]:
    """Write the export of a UTC day and return its manifest; blocks. The manifest is written last: without it there is no export.

    Raises BadUse when the day has no traces, CorruptObject for one that is damaged.
    """
    store = open_objects(warehouse)
    names = newest(info.name for info in store.list(f"traces/dt={date}/"))
    if not names:
        raise BadUse(f"{warehouse} has no traces of {date} (UTC); the days it has: {', '.join(_days(store)) or 'none'}")
    folder = f"export/dt={date}"
    for info in list(store.list(folder + "/")):
        store.delete(info.name)

    def construct(pipeline: beam.Pipeline) -> None:
        _ = (
            pipeline
            | "TraceNames" >> beam.Create(names)
            | "SpreadNames" >> beam.Reshuffle()
            | "ReadTraces" >> beam.ParDo(ReadTraceFn(warehouse)).with_output_types(tuple[int, bytes])
            | "GroupByShard" >> beam.GroupByKey()
            | "WriteShards" >> beam.ParDo(WriteShardFn(warehouse, folder))
        )

    run_here(construct)
    parts = sorted(info.name for info in store.list(f"{folder}/parts/"))
    manifest = _manifest(date, names, [json.loads(store.get(name)) for name in parts])
    store.put(f"{folder}/manifest.json", json.dumps(manifest, indent=1, sort_keys=True).encode())
    for name in parts:
        store.delete(name)
    return manifest


def _manifest(date: str, names: Sequence[str], parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    labels: Counter[str] = Counter()
    versions: set[str] = set()
    for part in parts:
        labels.update(part["labels"])
        versions.update(part.pop("versions"))
    return {
        "format": FORMAT,
        "date": date,
        "tracewinnow": VERSION,
        "columns": COLUMNS,
        "rows": sum(part["rows"] for part in parts),
        "labels": dict(sorted(labels.items())),
        "versions": [json.loads(version) for version in sorted(versions)],
        "input": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "traces": len(names),
        "shards": list(parts),
    }


def _days(store: ObjectStore) -> list[str]:
    return sorted(folder.removeprefix("dt=") for folder in store.folders("traces/"))

"""The daily export for retraining: the segments of a day with their weights, as Parquet, and a manifest. Same input, same bytes.

Names of shards hold their content: new ones lie beside those of the former export until the manifest takes its place at once.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Literal

import apache_beam as beam

from tracewinnow.pipelines.run import run_here
from tracewinnow.pipelines.single import only_one
from tracewinnow.schemas.errors import BadUse, TracewinnowError, Transient
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.errors import CorruptObject
from tracewinnow.stores.objects import ObjectStore, open_objects
from tracewinnow.stores.traces import made_again, read_trace
from tracewinnow.version import VERSION

FORMAT = 1
SHARDS = 8
NAME = re.compile(r"(?P<window>.+)-r(?P<revision>\d{8})-p(?P<part>\d{4})\.binpb$")

# Of a trace, what no column comes from. All traces of a day are held at once, and the numbers may take a MiB of each.
UNUSED: tuple[Literal["container"], Literal["text"], Literal["line_classes"]] = ("container", "text", "line_classes")

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
    "keep_probability": "float64",  # below 1 where a draw decided: noise, and progress that only says that it went on
    "weight": "float64",  # 1 / keep_probability: sums over drawn rows estimate those over all; no weight is for what had no room
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

    schema = pa.schema([pa.field(name, pa.type_for_alias(kind)) for name, kind in COLUMNS.items()])
    table = pa.Table.from_pylist(found, schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


class ReadTraceFn(beam.DoFn):
    """Name of a trace object -> (shard, its bytes without UNUSED).

    Raises CorruptObject: an export that lacks a trace would not tell.
    """

    def __init__(self, warehouse: str) -> None:
        self.warehouse = warehouse

    def setup(self) -> None:
        self.store = open_objects(self.warehouse)

    def process(self, name: str) -> Iterator[tuple[int, bytes]]:
        try:
            trace = read_trace(self.store, name)
        except CorruptObject as damaged:
            raise CorruptObject(name, f"{damaged.reason}; {made_again(name, self.warehouse)}") from damaged
        for field in UNUSED:
            trace.ClearField(field)
        yield shard_of(trace.job_id), trace.SerializeToString(deterministic=True)


class WriteShardFn(beam.DoFn):
    """(shard, traces) -> Parquet in the folder of the day, and an account of it in the folder `accounts`."""

    def __init__(self, warehouse: str, folder: str, accounts: str) -> None:
        self.warehouse = warehouse
        self.folder = folder
        self.accounts = accounts

    def setup(self) -> None:
        self.store = open_objects(self.warehouse)

    def process(self, grouped: tuple[int, Iterable[bytes]]) -> None:
        shard, found = grouped
        traces = [PreprocessedTrace.FromString(data) for data in found]
        written = rows(traces)
        data = to_parquet(written)
        digest = hashlib.sha256(data).hexdigest()
        name = f"shard-{shard:02d}-{digest[:16]}.parquet"
        account = {
            "name": name,
            "sha256": digest,
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
        # First, so that what it names is known and removed where the export fails.
        self.store.put(f"{self.accounts}/{shard:02d}.json", json.dumps(account, sort_keys=True).encode())
        self.store.put(f"{self.folder}/{name}", data)


def export(warehouse: str, date: str) -> dict[str, Any]:
    """Write the export of a UTC day and return its manifest; blocks. The manifest is written last: without it there is no export.

    One that fails leaves the former export of the day as it was. Raises BadUse when the day has no traces and while another
    process exports from this folder, CorruptObject for a trace that is damaged, Transient where an export beside this one, which
    a bucket does not prevent, took its files away.
    """
    store = open_objects(warehouse)
    names = newest(info.name for info in store.list(f"traces/dt={date}/"))
    if not names:
        raise BadUse(f"{warehouse} has no traces of {date} (UTC); the days it has: {', '.join(_days(store)) or 'none'}")
    with only_one(warehouse, "export"):
        return _export(store, warehouse, date, names)


def _export(store: ObjectStore, warehouse: str, date: str, names: Sequence[str]) -> dict[str, Any]:
    folder = f"export/dt={date}"
    accounts = f"{folder}/parts/{secrets.token_hex(8)}"  # of this run: another may go on beside it
    former = [info.name for info in store.list(f"{folder}/") if "/parts/" not in info.name]

    def construct(pipeline: beam.Pipeline) -> None:
        _ = (
            pipeline
            | "TraceNames" >> beam.Create(names)
            | "SpreadNames" >> beam.Reshuffle()
            | "ReadTraces" >> beam.ParDo(ReadTraceFn(warehouse)).with_output_types(tuple[int, bytes])
            | "GroupByShard" >> beam.GroupByKey()
            | "WriteShards" >> beam.ParDo(WriteShardFn(warehouse, folder, accounts))
        )

    try:
        run_here(construct)
        parts = _accounts(store, accounts)
        there = {info.name for info in store.list(f"{folder}/")}
        if sum(part["traces"] for part in parts) != len(names) or any(
            f"{folder}/{part['name']}" not in there for part in parts
        ):
            raise Transient(f"files of this export of {date} went away; is another export at work? Start it again")
        manifest = _manifest(date, names, parts)
        store.put(f"{folder}/manifest.json", json.dumps(manifest, indent=1, sort_keys=True).encode())
        _remove(store, folder, former)
        return manifest
    finally:
        with suppress(TracewinnowError):  # the first error is the one to tell
            made = {f"{folder}/{account['name']}" for account in _accounts(store, accounts)}
            _remove(store, folder, made.difference(former))
            for info in list(store.list(f"{accounts}/")):
                store.delete(info.name)


def _accounts(store: ObjectStore, folder: str) -> list[dict[str, Any]]:
    return [json.loads(store.get(info.name)) for info in store.list(f"{folder}/")]


def _remove(store: ObjectStore, folder: str, names: Iterable[str]) -> None:
    """Delete those of the objects that the manifest, where there is one, does not name."""
    manifest = f"{folder}/manifest.json"
    valid = json.loads(store.get(manifest))["shards"] if store.exists(manifest) else []
    kept = {manifest, *(f"{folder}/{shard['name']}" for shard in valid)}
    for name in names:
        if name not in kept:
            store.delete(name)


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

"""Numbers from the broker to the warehouse: what is decoded there is what the job sent, to the bit."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.json_format import MessageToJson

from tests.pipelines.feed import TOPIC, Broker, batch, new_process, stored
from tracewinnow.codec import decode_bundle, decode_series, decode_spans, decode_sparse
from tracewinnow.pipelines import backfill
from tracewinnow.pipelines.files import find
from tracewinnow.pipelines.local_stream import LocalStream
from tracewinnow.pipelines.options import Settings
from tracewinnow.schemas.telemetry_pb2 import ACCELERATOR_CPU, DType, TelemetryBatch
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.serving.warehouse import Warehouse
from tracewinnow.stores.parquet_tables import connect
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.unpack import unpack

SECOND = 1_000_000_000
START = 1_760_000_000 * SECOND
NAMES = [f"layers.{i}.weight" for i in range(12)]
STEPS = 20
RANKS = 2


def sent(job: str = "j", seed: int = 0) -> list[TelemetryBatch]:
    """A batch a step and rank: norms as float32 and bfloat16 words that are any bits, a loss that ends in NaN, and so on."""
    rng = np.random.default_rng(seed)
    found = []
    for rank in range(RANKS):
        process = new_process()
        for step in range(STEPS):
            created = START + step * SECOND // 4
            last = step == STEPS - 1
            made = batch(
                job, process, step, [f"step {step}"], created_ns=created, crash="loss is NaN" if last else "", rank=rank
            )
            norms = made.events.add(time_ns=created + 1).layers
            norms.step, norms.statistic = step, "grad_norm"
            norms.names.extend(NAMES)
            norms.values.dtype = DType.DTYPE_FLOAT32 if step % 5 else DType.DTYPE_BFLOAT16
            norms.values.shape.append(len(NAMES))
            norms.values.data = rng.bytes(len(NAMES) * (4 if step % 5 else 2))
            metrics = made.events.add(time_ns=created + 2).metrics
            metrics.step = step
            metrics.metrics.add(name="loss", value=struct.unpack("<d", rng.bytes(8))[0] if step < 15 else float("nan"))
            metrics.metrics.add(name="lr", value=3e-4)
            memory = made.events.add(time_ns=created + 3).memory
            memory.device, memory.used_bytes, memory.limit_bytes = "cuda:0", int(rng.integers(2**63)) * 2, 2**64 - 1
            span = made.events.add(time_ns=created + 4).span
            span.name, span.device, span.start_ns, span.duration_ns = (
                "forward",
                "cuda:0",
                created,
                int(rng.integers(10**8)),
            )
            span.error = "RuntimeError: loss" if last else ""
            sparse = made.events.add(time_ns=created + 5).sparse
            sparse.step, sparse.name = step, "relu"
            sparse.shape.extend([4, 16])
            index = np.flatnonzero(rng.random(64) < 0.3).astype("<u4")
            sparse.indices.dtype, sparse.indices.data = DType.DTYPE_UINT32, index.tobytes()
            sparse.indices.shape.append(len(index))
            sparse.values.dtype, sparse.values.data = DType.DTYPE_FLOAT16, rng.bytes(2 * len(index))
            sparse.values.shape.append(len(index))
            found.append(made)
    return found


def settings(folder: Path, rel_error: float | None = None) -> Settings:
    return Settings(str(folder / "w"), window_ns=60 * SECOND, stage=Options(rel_error=rel_error))


def streamed(broker: Broker, batches: list[TelemetryBatch], folder: Path) -> None:
    broker.send(*batches)
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(folder))
    while stream.turn():
        pass
    stream.flush()
    stream.close()


def backfilled(batches: list[TelemetryBatch], folder: Path, rel_error: float | None = None) -> None:
    folder.mkdir(exist_ok=True)
    rows = folder / "batches.jsonl"
    rows.write_text("".join(MessageToJson(b, indent=None) + "\n" for b in batches))
    tasks, _ = backfill.plan(find([str(rows)]), None, {}, False)
    backfill.backfill(tasks, settings(folder, rel_error), lambda group, counters: None)


def words(batches: list[TelemetryBatch]) -> list[Any]:
    """Each numeric event of the batches as a name and bytes."""
    found: list[Any] = []
    for made in batches:
        for event in made.events:
            kind, at = event.WhichOneof("kind"), (made.rank, event.time_ns)
            if kind == "layers":
                found.append((*at, "layers", event.layers.step, "grad_norm", event.layers.values.data))
            elif kind == "metrics":
                data = struct.pack("<2d", *(m.value for m in event.metrics.metrics))
                found.append((*at, "metrics", event.metrics.step, "", data))
            elif kind == "memory":
                data = struct.pack("<4Q", event.memory.used_bytes, 0, 0, event.memory.limit_bytes)
                found.append((*at, "memory", 0, "cuda:0", data))
            elif kind == "sparse":
                data = event.sparse.indices.data + event.sparse.values.data
                found.append((*at, "sparse", event.sparse.step, "relu", data))
            elif kind == "span":
                data = struct.pack("<2q", event.span.start_ns, event.span.duration_ns)
                found.append((*at, "spans", 0, "forward", data + event.span.error.encode()))
    return sorted(found)


def held(container: bytes) -> list[Any]:
    """The same of what a container holds."""
    numeric, found = unpack(container), list[Any]()
    for rows in numeric.rows:
        for place, time_ns in enumerate(rows.times_ns.tolist()):
            step = 0 if rows.kind == "memory" else int(rows.steps[place])
            found.append((rows.rank, time_ns, rows.kind, step, rows.of, rows.values[place].tobytes()))
    for one in numeric.tensors:
        ends = np.cumsum(one.counts)
        for place, end in enumerate(ends.tolist()):
            entries = slice(end - int(one.counts[place]), end)
            data = one.index[entries].tobytes() + one.values[entries].tobytes()
            found.append(
                (int(one.ranks[place]), int(one.times_ns[place]), "sparse", int(one.steps[place]), one.name, data)
            )
    spans = numeric.spans
    assert spans is not None
    for place, time_ns in enumerate(spans.times_ns.tolist()):
        rank, _, _, error = spans.tracks[int(spans.track[place])]
        data = struct.pack("<2q", int(spans.starts_ns[place]), int(spans.durations_ns[place])) + error.encode()
        found.append((rank, time_ns, "spans", 0, spans.names[int(spans.name[place])], data))
    return sorted(found)


def test_from_the_broker_to_the_warehouse_every_bit(broker: Broker, tmp_path: Path) -> None:
    batches = sent()
    streamed(broker, batches, tmp_path / "stream")
    with connect(tmp_path / "stream/w") as tables:
        [(container, versions)] = tables.execute("select container, versions from traces").fetchall()
    assert held(container) == words(batches)
    assert {"key": "container", "value": "1, lossless"} in versions
    [data] = stored(tmp_path / "stream/w").values()
    trace = PreprocessedTrace.FromString(data)
    assert trace.container == container
    assert not trace.notes
    assert "NaN from step 15" in trace.text
    # What a reader does who has nothing but the row and the codec.
    kinds = {}
    for labels, part in decode_bundle(container):
        if labels["holds"] == "values":
            read = {"spans": decode_spans, "sparse": decode_sparse}.get(labels["kind"], decode_series)
            kinds[labels["kind"]] = read(part)
    assert kinds["metrics"].names == ["0/loss", "0-1/lr", "1/loss"]
    assert kinds["sparse"].shape == (STEPS * RANKS, 4, 16)
    assert kinds["spans"][0].track == '[0,"cuda:0"]'
    backfilled(batches, tmp_path / "files")
    assert stored(tmp_path / "files/w") == stored(tmp_path / "stream/w")


def test_cpu_jobs_have_no_container_and_say_so(tmp_path: Path) -> None:
    batches = sent()
    for made in batches:
        made.accelerator = ACCELERATOR_CPU
    backfilled(batches, tmp_path)
    [data] = stored(tmp_path / "w").values()
    trace = PreprocessedTrace.FromString(data)
    assert (trace.container, trace.container_uri) == (b"", "")
    assert "compress" not in trace.route
    assert [(note.stage, note.what) for note in trace.notes] == [("compress", "skipped")]
    with connect(tmp_path / "w") as tables:
        assert tables.execute("select octet_length(container) from traces").fetchall() == [(0,)]


def test_a_large_container_is_an_object_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracewinnow.pipelines.sinks.INLINE_BYTES", 1000)
    batches = sent()
    backfilled(batches, tmp_path)
    opened = Warehouse(str(tmp_path / "w"))
    [trace] = opened.traces("j")
    assert trace.container_uri.startswith("containers/dt=2025-10-09/j-")
    [data] = stored(tmp_path / "w").values()
    assert PreprocessedTrace.FromString(data).container == b""
    [(start, part, container)] = opened.containers("j")
    assert (start, part) == (trace.window_start_ns, 0)
    assert held(container) == words(batches)


def test_a_bound_is_kept_and_said(tmp_path: Path) -> None:
    batches = sent()
    backfilled(batches, tmp_path, rel_error=0.01)
    [data] = stored(tmp_path / "w").values()
    trace = PreprocessedTrace.FromString(data)
    assert trace.versions["container"] == "1, rel_error 0.01"
    wanted = {(r, t): np.frombuffer(d, "<f8") for r, t, kind, _, _, d in words(batches) if kind == "metrics"}
    for rows in unpack(trace.container).rows:
        if rows.kind == "metrics":
            for place, time_ns in enumerate(rows.times_ns.tolist()):
                exact = wanted[rows.rank, time_ns]
                with np.errstate(all="ignore"):
                    good = np.abs(rows.values[place] / exact - 1) <= 0.01
                assert (good | ~np.isfinite(exact) | (rows.values[place] == exact)).all()

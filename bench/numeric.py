"""What numbers cost in stage 2: CPU an event, bytes a sample beside protobuf, tokens beside JSON and the codec's tables.

    python -m bench.numeric [--steps 600] [--ranks 4] [--layers 48] [--json]

Events as a job of several ranks sends them in one window: at each step the gradient norms (the same on all ranks, as after an
all-reduce) and weight norms of every layer in float32, three metrics, a span; a memory reading every ten steps; a sparse
activation (30 % of 4,096, float16) every fifty. CPU is of the process, bytes include times and names.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import zstandard

from tracewinnow.codec import BadArgument, render_series
from tracewinnow.schemas.telemetry_pb2 import (
    ACCELERATOR_TPU,
    DTYPE_FLOAT16,
    DTYPE_FLOAT32,
    DTYPE_UINT32,
    TelemetryBatch,
)
from tracewinnow.transforms import tokens
from tracewinnow.transforms.assemble import assemble
from tracewinnow.transforms.collect import series_of
from tracewinnow.transforms.numeric import floats
from tracewinnow.transforms.pack import pack
from tracewinnow.transforms.series import summarise
from tracewinnow.transforms.unpack import unpack

START, STEP_NS = 1_760_000_000 * 10**9, 10**8


def window(steps: int, ranks: int, layers: int) -> list[TelemetryBatch]:
    """The batches of one window, ten steps each."""
    rng = np.random.default_rng(5)
    names = [f"blocks.{i}.attn.qkv.weight" for i in range(layers)]
    shared = rng.normal(size=(steps, 1)).cumsum(0) / 30
    grads = np.exp(shared + rng.normal(size=(steps, layers)) / 10).astype(np.float32)
    weights = (20 + rng.normal(size=layers) + rng.normal(size=(steps, layers)).cumsum(0) / 1e4).astype(np.float32)
    loss = 3 * np.exp(-np.arange(steps) / steps) + rng.normal(size=(ranks, steps)) / 50
    made = []
    for rank in range(ranks):
        process = uuid.UUID(int=rank).hex
        for first in range(0, steps, 10):
            batch = TelemetryBatch(
                job_id="bench", process_uuid=process, sequence=first // 10, created_ns=START + first * STEP_NS,
                accelerator=ACCELERATOR_TPU, rank=rank,
            )  # fmt: skip
            for step in range(first, min(first + 10, steps)):
                at = START + step * STEP_NS + int(rng.integers(10**7))
                for statistic, values in (("grad_norm", grads), ("weight_norm", weights)):
                    told = batch.events.add(time_ns=at).layers
                    told.step, told.statistic = step, statistic
                    told.names.extend(names)
                    told.values.dtype, told.values.data = DTYPE_FLOAT32, values[step].tobytes()
                    told.values.shape.append(layers)
                metrics = batch.events.add(time_ns=at + 1000).metrics
                metrics.step = step
                for name, value in (("loss", loss[rank, step]), ("lr", 3e-4), ("tokens_per_s", rng.normal(5e4, 200))):
                    metrics.metrics.add(name=name, value=float(value))
                span = batch.events.add(time_ns=at + 2000).span
                span.name, span.device, span.start_ns = "forward", f"tpu:{rank}", at
                span.duration_ns = int(rng.normal(4e7, 1e6))
                if step % 10 == 0:
                    memory = batch.events.add(time_ns=at + 3000).memory
                    memory.device, memory.used_bytes, memory.limit_bytes = "host", 2**33 + 4096 * step, 2**36
                if step % 50 == 0:
                    sparse = batch.events.add(time_ns=at + 4000).sparse
                    sparse.step, sparse.name = step, "blocks.3.mlp.relu"
                    sparse.shape.extend([8, 512])
                    index = np.flatnonzero(rng.random(4096) < 0.3).astype("<u4")
                    sparse.indices.dtype, sparse.indices.data = DTYPE_UINT32, index.tobytes()
                    sparse.values.dtype = DTYPE_FLOAT16
                    sparse.values.data = np.abs(rng.normal(size=len(index))).astype("<f2").tobytes()
            made.append(batch)
    return made


def cpu(run: Callable[[], Any], times: int = 3) -> tuple[float, Any]:
    """The least CPU seconds of some runs, and what the last one gave."""
    least = float("inf")
    for _ in range(times):
        start = time.process_time()
        found = run()
        least = min(least, time.process_time() - start)
    return least, found


def table(numeric: Any, statistic: str, budget: int) -> str:
    """The codec's text for the same numbers under the same budget."""
    one = next(rows for rows in numeric.rows if rows.of == statistic and rows.rank == 0)
    try:
        return render_series(
            floats(one.values, one.dtype),
            names=one.names,
            steps=one.steps,
            rel_error=0.01,
            budget=budget,
            count=tokens.count,
        )
    except BadArgument:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--layers", type=int, default=48)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    batches = window(options.steps, options.ranks, options.layers)
    raw = [batch.SerializeToString() for batch in batches]
    parse, _ = cpu(lambda: [TelemetryBatch.FromString(data) for data in raw])
    collect, trace = cpu(lambda: assemble(batches))
    numeric = trace.numeric
    tell, summaries = cpu(lambda: summarise(trace.series, trace.spans, trace.sparse))
    whole, packed = cpu(lambda: pack(numeric))
    bounded, lossy = cpu(lambda: pack(numeric, 1e-3))
    back, found = cpu(lambda: series_of(unpack(packed.data).rows))
    samples = sum(rows.values.size for rows in numeric.rows) + sum(len(one.index) for one in numeric.tensors)
    events = trace.numeric_events
    lines = {one.name: one.text for one in summaries}
    said = json.dumps([{"step": int(s), "grad_norm": [float(f"{v:.3g}") for v in row]}
                       for s, row in zip(numeric.rows[0].steps, floats(numeric.rows[0].values, "float32"), strict=True)],
                      separators=(",", ":"))  # fmt: skip
    grads = next(text for name, text in lines.items() if "grad_norm" in name)
    assert len(found) == len(trace.series)
    result = {
        "events": events,
        "samples": samples,
        "cpu_us_per_event": {
            "parse protobuf": parse / events * 1e6, "collect": collect / events * 1e6, "tell": tell / events * 1e6,
            "pack, lossless": whole / events * 1e6, "pack, 0.1 %": bounded / events * 1e6, "unpack": back / events * 1e6,
        },
        "bytes_per_sample": {
            "protobuf": sum(map(len, raw)) / samples,
            "protobuf, zstd-3, all as one": len(zstandard.compress(b"".join(raw), 3)) / samples,
            "container, lossless": len(packed.data) / samples,
            "container, 0.1 %": len(lossy.data) / samples,
        },
        "tokens_of_grad_norm": {
            "compact JSON, one rank": tokens.count(said),
            "codec's table, one rank, budget 2000": tokens.count(table(numeric, "grad_norm", 2000)),
            "codec's table, least": min((b for b in range(50, 2000, 25) if table(numeric, "grad_norm", b)), default=0),
            "line, all ranks": tokens.count(grads),
        },
        "tokens_of_all_lines": sum(tokens.count(text) for text in lines.values()),
    }  # fmt: skip
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for part, number in rows:
            print(
                f"{name:22} {part:38} {number:12,.2f}"
                if isinstance(number, float)
                else f"{name:22} {part:38} {number:12,}"
            )


if __name__ == "__main__":
    main()

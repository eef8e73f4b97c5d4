"""The codec beside pcodec, zstd and Parquet on made series, in one run; and time and memory as data grows.

python -m bench.codec [--npz FILE ...] [--json]
python -m bench.codec --scale [--largest 100000000] [--json]

Bytes a sample, and speed as a ratio to pcodec's lossless speed in the same run (each the best of several, interleaved).
Random access: the time to read one series of many, and one range of steps, as a part of the time to read all.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from pcodec import ChunkConfig, standalone

from tracewinnow.codec import decode_series, encode_series

Coder = tuple[Callable[[np.ndarray], bytes], Callable[[bytes], object]]


def layers(steps: int, names: int = 48, seed: int = 7) -> np.ndarray:
    """Norms of layers that move together: a common and an own AR(1) in the logarithm, and rare spikes. (steps, names) float32."""
    rng = np.random.default_rng(seed)
    innovations = rng.normal(0, 0.05, (steps, names + 1))
    state, x = np.zeros(names + 1), np.empty((steps, names + 1))
    for t in range(steps):
        state = 0.96 * state + innovations[t]
        x[t] = state
    spikes = (rng.random((steps, 1)) < 0.001) * rng.exponential(2, (steps, 1))
    return np.exp(x[:, :1] + x[:, 1:] + spikes + np.linspace(-1, 1, names)).astype(np.float32)


def parquet() -> Coder:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def encode(values: np.ndarray) -> bytes:
        out = io.BytesIO()
        table = pa.table({str(j): np.ascontiguousarray(column) for j, column in enumerate(values.T)})
        pq.write_table(table, out, compression="zstd", use_dictionary=False, use_byte_stream_split=True)
        return out.getvalue()

    return encode, lambda data: pq.read_table(io.BytesIO(data))


def coders() -> dict[str, Coder]:
    config = ChunkConfig(compression_level=8)
    found: dict[str, Coder] = {
        "pcodec": (
            lambda v: standalone.simple_compress(np.ascontiguousarray(v.T).ravel(), config),
            standalone.simple_decompress,
        ),
        "zstd-3": (lambda v: zstandard.compress(np.ascontiguousarray(v.T).tobytes(), 3), zstandard.decompress),
        "parquet": parquet(),
        "tracewinnow": (encode_series, decode_series),
    }
    for bound in (1e-3, 1e-2):
        found[f"tracewinnow {bound:g}"] = (lambda v, b=bound: encode_series(v, rel_error=b), decode_series)
    return found


def compare(sets: dict[str, np.ndarray], rounds: int) -> list[dict[str, Any]]:
    """Rounds go over all coders in turn, so that a slow moment of the machine hits all alike."""
    rows = []
    for name, values in sets.items():
        made = {coder: encode(values) for coder, (encode, _) in coders().items()}
        encoding = dict.fromkeys(made, float("inf"))
        decoding = dict.fromkeys(made, float("inf"))
        for _ in range(rounds):
            for coder, (encode, decode) in coders().items():
                start = time.perf_counter()
                encode(values)
                middle = time.perf_counter()
                decode(made[coder])
                encoding[coder] = min(encoding[coder], middle - start)
                decoding[coder] = min(decoding[coder], time.perf_counter() - middle)
        for coder, data in made.items():
            rows.append(
                {
                    "set": name,
                    "coder": coder,
                    "bytes_per_sample": len(data) / values.size,
                    "encode_ratio": encoding["pcodec"] / encoding[coder],
                    "decode_ratio": decoding["pcodec"] / decoding[coder],
                }
            )
        rows.append({"set": name, **access(values)})
    return rows


def access(values: np.ndarray) -> dict[str, float]:
    names = [str(j) for j in range(values.shape[1])]
    data = encode_series(values, names=names, rel_error=1e-3)
    middle = len(values) // 2

    def seconds(**part: Any) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            decode_series(data, **part)
            times.append(time.perf_counter() - start)
        return min(times)

    whole = seconds()
    return {
        "one_series": seconds(names=names[:1]) / whole,
        "hundred_steps": seconds(step_range=(middle, middle + 100)) / whole,
    }


CHILD = """
import json, resource, sys, time
import numpy as np
from bench.codec import layers
from tracewinnow.codec import SeriesWriter, backend, decode_series
backend.backend()  # loads the kernels, once a process
path, samples = sys.argv[1], int(sys.argv[2])
block = layers(8192)
def cpu(): return time.process_time()
with SeriesWriter(path, names=[str(j) for j in range(48)], rel_error=1e-3, chunk_steps=8192) as writer:
    start, made = cpu(), 0
    while made < samples:
        for row in block[: max(1, min(8192, (samples - made) // 48))]:
            writer.append(row)
            made += 48
writing = cpu() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = memoryview(np.memmap(path, np.uint8, "r"))
def anonymous():  # the file itself is mapped: its pages are the system's to take back
    return int(open("/proc/self/status").read().split("RssAnon:")[1].split()[0])
start, read, after = cpu(), 0, 0
for first in range(0, made // 48, 8192):
    read += decode_series(data, step_range=(first, first + 8192)).values.size
    after = max(after, anonymous()) if first % (8192 * 16) == 0 else after
reading = cpu() - start
assert read == made, (read, made)
print(json.dumps(dict(samples=made, write_ns=writing / made * 1e9, read_ns=reading / made * 1e9,
                      writer_mb=peak / 1024, reader_mb=after / 1024, bytes_per_sample=len(data) / made)))
"""


def scale(largest: int) -> list[dict[str, Any]]:
    """Each size in a process of its own, written by SeriesWriter and read in windows: CPU time a sample, peak memory."""
    rows = []
    samples = 100_000
    while samples <= largest:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", CHILD, str(Path(folder) / "x.twc"), str(samples)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        rows.append(json.loads(done.stdout))
        samples *= 10
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--npz", nargs="*", default=[], help="files of recorded series: arrays (steps, names)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--largest", type=int, default=100_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.scale:
        rows = scale(options.largest)
    else:
        sets = {"layers": layers(20_000)}
        for file in options.npz:
            for name, array in np.load(file).items():
                if array.ndim == 2 and array.dtype == np.float32:
                    sets[f"{Path(file).stem}.{name}"] = array
        rows = compare(sets, options.rounds)
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            "  ".join(
                f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
            )
        )


if __name__ == "__main__":
    main()

"""Archive and tables: raw log bytes a second on one core, beside zstd alone and a plain file; milliseconds a trace.

python -m bench.stores [--json] [--megabytes 200]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import zstandard

from tracewinnow.schemas.tables import rows
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.archive import Archive, ArchivedBatch
from tracewinnow.stores.objects import open_objects
from tracewinnow.stores.tables import open_tables

START_NS = 1_800_000_000_000_000_000
BUNDLE_BYTES = 32 << 20


def log_lines(size: int) -> bytes:
    """Lines of a training job: much repeats, numbers and times do not."""
    chance = random.Random(1)
    words = [f"module_{n}" for n in range(2000)]
    lines, total, step = [], 0, 0
    while total < size:
        step += 1
        line = (
            f"2026-11-21 06:{step // 60 % 60:02d}:{step % 60:02d},{chance.randrange(1000):03d} INFO "
            f"{chance.choice(words)} rank={chance.randrange(8)} step {step} loss={chance.random():.5f} "
            f"{' '.join(chance.choices(words, k=chance.randrange(6)))}\n"
        ).encode()
        lines.append(line)
        total += len(line)
    return b"".join(lines)


def batches_of(text: bytes, size: int) -> list[ArchivedBatch]:
    return [
        ArchivedBatch(f"{1:032x}", place, START_NS + place, text[start : start + size])
        for place, start in enumerate(range(0, len(text), size))
    ]


def timed(act: Callable[[], object]) -> float:
    """Seconds of processor time of this process, system calls included; waiting for a disk is not in it."""
    start = time.process_time()
    act()
    return time.process_time() - start


def write(archive: Archive, job: str, batches: list[ArchivedBatch]) -> None:
    per_bundle = max(1, BUNDLE_BYTES // len(batches[0].data))
    for first in range(0, len(batches), per_bundle):
        archive.write(job, START_NS, batches[first : first + per_bundle])


def plain_file(path: Path, text: bytes) -> None:
    with open(path, "wb") as file:
        file.write(text)
        os.fsync(file.fileno())


def archive_figures(folder: Path, megabytes: int) -> dict[str, float]:
    text = log_lines(megabytes * 1_000_000)
    size = len(text) / 1e6
    archive = Archive(open_objects(str(folder)))
    compressor = zstandard.ZstdCompressor(level=1)
    figures = {
        "zstd_alone.mb_per_s": size / timed(lambda: compressor.compress(text)),
        "plain_file.mb_per_s": size / timed(lambda: plain_file(folder / "plain", text)),
    }
    for name, length in (("batches_1kb", 1_000), ("batches_64kb", 64_000), ("batches_1mb", 1_000_000)):
        batches = batches_of(text, length)
        figures[f"{name}.write.mb_per_s"] = size / timed(lambda b=batches, n=name: write(archive, n, b))
        figures[f"{name}.read.mb_per_s"] = size / timed(lambda n=name: archive.read(n, START_NS))
        figures[f"{name}.index.ms"] = 1e3 * timed(lambda n=name: archive.index(n, START_NS))
        stored = sum(info.size for info in archive.store.list(f"archive/{name}/"))
        figures[f"{name}.ratio"] = len(text) / stored
    return figures


def trace_of(number: int, segments: int) -> PreprocessedTrace:
    trace = PreprocessedTrace(
        trace_id=f"job-{number}/0/0", job_id=f"job-{number}", window_start_ns=START_NS, revision=3
    )
    for place in range(segments):
        trace.segments.add(
            first=10 * place + 1,
            last=10 * place + 5,
            kind="lines",
            label="context",
            text=f"line {place} " * 8,
            tokens=30,
        )
    trace.text = "\n".join(segment.text for segment in trace.segments)
    return trace


def table_figures(folder: Path, traces: int = 50) -> dict[str, float]:
    tables = open_tables(str(folder))
    figures = {}
    for segments in (20, 200):
        start = time.perf_counter()
        for number in range(traces):
            for table, found in rows(trace_of(number, segments)).items():
                tables.write(table, "2027-01-15", f"job-{number}", found)
        figures[f"parquet.{segments}_segments.ms_per_trace"] = 1e3 * (time.perf_counter() - start) / traces
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--megabytes", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        figures = archive_figures(Path(folder), options.megabytes) | table_figures(Path(folder))
    figures["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    if options.json:
        json.dump({name: round(value, 2) for name, value in figures.items()}, sys.stdout, indent=1)
        print()
        return
    for name, value in figures.items():
        print(f"{name:45} {value:10.1f}")


if __name__ == "__main__":
    main()

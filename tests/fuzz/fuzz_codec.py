"""Mutated containers of every kind: each is read, or refused with an error of the codec, in little time and memory.

    python tests/fuzz/fuzz_codec.py --cases 1000000 --seed 7

Half of the mutations repair the checksums, so that they reach what lies behind. Stops at the first violation,
and writes its bytes.
"""

import argparse
import contextlib
import json
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np

from tracewinnow import codec
from tracewinnow.codec import container, positions
from tracewinnow.codec.inspect import describe

MAX_BYTES = 1 << 24  # what a reader is allowed to make of a file
MAX_SECONDS = 1.0
MAX_GROWTH_KB = 512 * 1024  # of the whole process, over all cases

READERS: list[Callable[[bytes], object]] = [
    lambda data: codec.decode_series(data, max_bytes=MAX_BYTES),
    lambda data: codec.decode_series(data, max_bytes=MAX_BYTES, recover=True),
    lambda data: codec.decode_series(data, max_bytes=MAX_BYTES, step_range=(3, 40)),
    lambda data: codec.decode_sparse(data, max_bytes=MAX_BYTES),
    lambda data: codec.decode_sparse(data, max_bytes=MAX_BYTES, coo=True),
    lambda data: codec.decode_text(data, max_bytes=MAX_BYTES),
    lambda data: codec.decode_segments(data, max_bytes=MAX_BYTES),
    lambda data: codec.decode_spans(data, max_bytes=MAX_BYTES),
    lambda data: [inner(part.data) for part in codec.decode_bundle(data)],
    lambda data: json.dumps(describe(data, max_bytes=MAX_BYTES)),
]
KINDS = {1: READERS[:3], 2: READERS[3:5], 3: READERS[5:7], 4: READERS[7:8], 5: READERS[8:9]}
BY_CONTENT = {content: [*readers, READERS[-1]] for content, readers in KINDS.items()}  # describe is for all of them


def inner(data: memoryview) -> object:
    """A part of a bundle by the reader of its own content."""
    return BY_CONTENT[data[5]][0](bytes(data)) if data[5] in BY_CONTENT else None


def in_blocks(tensor: np.ndarray) -> bytes:
    """encode_sparse, with positions as they are coded in large tensors."""
    with patch.object(positions, "encode", lambda there, total: positions.encode_blocks(np.packbits(there))):
        return codec.encode_sparse(tensor)


def corpus() -> list[bytes]:
    """Small containers of every kind, coding and predictor."""
    rng = np.random.default_rng(0)
    norms = np.exp(np.cumsum(rng.normal(0, 0.05, (150, 1)), 0) + rng.normal(0, 0.05, (150, 3))).astype(np.float32)
    broken = norms.copy()
    broken[100:, 1], broken[7, 2], broken[9, 0] = np.nan, 0, -np.inf
    trend = np.cumsum(norms, 0).astype(np.float32)
    tensor = np.where(rng.random((5, 6, 7)) < 0.3, rng.normal(size=(5, 6, 7)), 0).astype(np.float16)
    log = b"".join(b"step %d loss 2.%02d\r\n" % (i, i * 7 % 100) for i in range(40)) + b"\xff end"
    spans = [codec.Span("forward" if i % 2 else "backward", i * 1000, 900 + i, f"rank{i % 3}") for i in range(60)]
    found = [
        codec.encode_series(norms, names=["a", "b", "c"]),
        codec.encode_series(-norms, rel_error=1e-3, steps=np.arange(150) ** 2),
        codec.encode_series(broken, abs_error=1e-2),
        codec.encode_series(broken.astype(np.float64), rel_error=1e-2),
        codec.encode_series(trend),
        codec.encode_series(norms.astype(np.float16)),
        codec.encode_series((norms * 1e6).astype(np.int64)),
        codec.encode_series(np.round(norms.astype(np.float64), 1)[:, :1]),
        codec.encode_series(np.ones((3, 0), np.float32)),
        codec.encode_sparse(tensor),
        codec.encode_sparse(tensor != 0),
        in_blocks(tensor),
        codec.encode_series(np.exp(rng.normal(0, 0.2, (4200, 4))).astype(np.float32), rel_error=0.3),
        codec.encode_sparse(np.eye(40, dtype=np.float32), rel_error=1e-2),
        codec.encode_text(log, times=np.arange(41), ranks=np.arange(41) % 4),
        codec.encode_spans(spans),
    ]
    return [*found, codec.encode_bundle([({"kind": "any", "n": str(i)}, found[i]) for i in (4, 9, 12, 13)])]


def mutate(rng: np.random.Generator, seeds: list[bytes]) -> bytes:
    """One to eight changes of one container: bits, bytes, numbers, pieces left out, doubled, or taken from another."""
    data = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(int(rng.integers(1, 9))):
        if not data:
            break
        at = int(rng.integers(len(data)))
        kind = rng.integers(7)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.integers(256))
        elif kind == 2:
            data[at : at + 4] = struct.pack("<i", [0, -1, 2**31 - 1, -(2**31), 1 << 20, 255][int(rng.integers(6))])
        elif kind == 3:
            del data[at : at + int(rng.integers(1, 12))]
        elif kind == 4:
            data[at:at] = data[at : at + int(rng.integers(1, 12))]
        elif kind == 5:
            other = seeds[rng.integers(len(seeds))]
            start = int(rng.integers(len(other)))
            data[at : at + 16] = other[start : start + 16]
        else:
            data[at:at] = b"\xff" * int(rng.integers(1, 11))
    return repair(bytes(data)) if rng.integers(2) else bytes(data)


def repair(data: bytes) -> bytes:
    """The same chunks with right checksums and a right table, as far as they can be found."""
    out = bytearray(data[: container.HEADER.size])
    chunks = []
    at = container.HEADER.size
    while at < len(data) - 5:
        kind = data[at]
        size, shift, start = 0, 0, at + 1
        while start < len(data) and shift < 28:
            size |= (data[start] & 127) << shift
            shift += 7
            start += 1
            if data[start - 1] < 128:
                break
        if kind == container.TABLE or start + size + 4 > len(data):
            break
        body = data[at : start + size]
        framed = body + struct.pack("<I", zlib.crc32(body))
        chunks.append(container.Chunk(kind, len(out), len(framed)))
        out += framed
        at = start + size + 4
    return bytes(out) + container.table(chunks)


def run(cases: int, seed: int, only: int | None = None) -> dict[str, int]:
    """Reads so many mutated containers; returns how often each came of it. Raises on a violation."""
    seeds = corpus()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes: dict[str, int] = {}
    for case in range(cases) if only is None else [only]:
        rng = np.random.default_rng([seed, case])
        data = mutate(rng, seeds)
        readers = BY_CONTENT.get(data[5] if len(data) > 5 else 0, READERS)
        reader = readers[int(rng.integers(len(readers)))]
        start = time.perf_counter()
        try:
            reader(data)
            outcome = "read"
        except codec.CodecError as refused:
            outcome = type(refused).__name__
        except BaseException as wrong:
            Path(f"violation-{seed}-{case}.twc").write_bytes(data)
            raise AssertionError(f"case {case} of seed {seed}: {wrong!r}") from wrong
        seconds = time.perf_counter() - start
        if seconds > MAX_SECONDS:
            again = time.process_time()
            with contextlib.suppress(codec.CodecError):
                reader(data)
            # Only the reader's own time counts: a busy machine may have stopped us.
            assert time.process_time() - again < MAX_SECONDS, f"case {case} of seed {seed} took {seconds:.1f} s"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert growth < MAX_GROWTH_KB, f"memory grew by {growth} kB"
    return {**outcomes, "memory_growth_kb": growth}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", type=int, help="run this case alone")
    options = parser.parse_args()
    start = time.perf_counter()
    outcomes = run(options.cases, options.seed, options.only)
    print(f"{options.cases} cases in {time.perf_counter() - start:.0f} s: {outcomes}")
    sys.exit(0)


if __name__ == "__main__":
    main()

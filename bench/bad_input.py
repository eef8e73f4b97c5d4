"""What `tracewinnow preprocess` does with input that is no log: seconds, memory and what it says.

    python -m bench.bad_input [CASE...] [--json] [--scale F]

Each case is written to a temporary folder and winnowed by a process of its own. mb: size of the file. cpu: seconds of processor,
start of Python included. peak_mb: largest resident memory. code: exit code. tokens: of what it printed, of a budget of 2,000.
said: what stood on standard error. --scale makes all of them smaller or larger.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BUDGET = 2000
CHUNK = 1 << 20  # bytes that are written at once
MARK = "RuntimeError: shard 7 is gone"  # the cause, where a case has one

Written = Iterator[bytes]


def junk(scale: float) -> Written:
    """20 MB of random bytes."""
    rng = random.Random(0)
    for _ in range(int(20 * scale)):
        yield rng.randbytes(CHUNK)


def long_line(scale: float) -> Written:
    """One line of 200 MB, the cause behind it."""
    for _ in range(int(200 * scale)):
        yield b"all work and no play " * (CHUNK // 21)
    yield b"\n" + MARK.encode() + b"\n"


def empty_lines(scale: float) -> Written:
    """10 million empty lines, the cause in the midst of them."""
    some = int(5_000_000 * scale)
    yield b"\n" * some + MARK.encode() + b"\n" + b"\n" * some


def digits(scale: float) -> Written:
    """A million lines of digits."""
    rng = random.Random(0)
    for _ in range(int(1000 * scale)):
        yield b"".join(b"%040d\n" % rng.randrange(10**40) for _ in range(1000))


def broken_utf8(scale: float) -> Written:
    """A million lines with bytes that are no UTF-8, the cause in the midst of them."""
    line = "größer \u640d\u5931 step {} loss 2.0".encode()
    for number in range(int(1000 * scale)):
        broken = bytearray(b"\n".join(line.replace(b"{}", b"%d" % i) for i in range(1000)) + b"\n")
        for place in range(2, len(broken), 37):
            broken[place] = 0xC3 if broken[place] != 10 else 10
        yield bytes(broken)
        if number == int(500 * scale):
            yield MARK.encode() + b"\n"


def all_new(scale: float) -> Written:
    """A million lines, each of a template of its own, the cause in the midst of them."""
    rng = random.Random(0)
    for number in range(int(1000 * scale)):
        words = ["".join(rng.choices("abcdefghijklmnop", k=7)) for _ in range(4000)]
        yield "".join(" ".join(words[i : i + 4]) + " failed\n" for i in range(0, 4000, 4)).encode()
        if number == int(500 * scale):
            yield MARK.encode() + b"\n"


def returns(scale: float) -> Written:
    """20 MB of a progress bar without a line end."""
    for number in range(int(20 * scale)):
        yield b"".join(b"\r%3d%%|####    | %d/1000000 [00:01<00:09]" % (i % 100, number) for i in range(30_000))


def escapes(scale: float) -> Written:
    """20 MB of terminal codes that never end, on lines of a megabyte."""
    for _ in range(int(20 * scale)):
        yield b"\x1b]0;" * (CHUNK // 4) + b"\n"


def zeros(scale: float) -> Written:
    """100 MB of zero bytes, as a file has that a crash left behind, the cause after them."""
    for _ in range(int(100 * scale)):
        yield bytes(CHUNK)
    yield b"\n" + MARK.encode() + b"\n"


CASES: dict[str, Callable[[float], Written]] = {
    case.__name__: case
    for case in (junk, long_line, empty_lines, digits, broken_utf8, all_new, returns, escapes, zeros)
}


def measured(name: str, folder: Path, scale: float) -> dict[str, Any]:
    """Write a case, winnow it, and say what it took."""
    file = folder / f"{name}.log"
    with file.open("wb") as target:
        for data in CASES[name](scale):
            target.write(data)
    with (folder / "said").open("w+b") as said, (folder / "printed").open("w+b") as printed:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "tracewinnow", "preprocess", str(file), "--budget", str(BUDGET)],
            stdout=printed,
            stderr=said,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        said.seek(0)
        printed.seek(0)
        text = printed.read().decode(errors="replace")
        from tracewinnow.transforms import tokens

        found = {
            "case": name,
            "mb": round(file.stat().st_size / 1e6, 1),
            "cpu": round(used.ru_utime + used.ru_stime, 1),
            "wall": round(wall, 1),
            "peak_mb": round(used.ru_maxrss / 1024),
            "code": os.waitstatus_to_exitcode(status),
            "tokens": tokens.count(text.removesuffix("\n")),
            "cause_shown": MARK in text,
            "said": said.read().decode(errors="replace").strip(),
        }
    file.unlink()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all without one")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0)
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.cases if name not in CASES]:
        parser.error(f"no case {unknown[0]!r}: there are {', '.join(CASES)}")
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.cases or CASES:
            print(json.dumps(measured(name, Path(folder), chosen.scale), indent=None if chosen.json else 2), flush=True)


if __name__ == "__main__":
    main()

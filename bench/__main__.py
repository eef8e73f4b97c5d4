"""All measurements, one after the other, each in a process of its own: python -m bench [NAME...]

`pipeline` needs a real broker: set TRACEWINNOW_BOOTSTRAP=HOST:PORT (infra/local/kafka starts one), or it is left out, and said.
"""

from __future__ import annotations

import os
import subprocess
import sys

MEASUREMENTS = {
    "request": ["bench.request", "--json"],
    "mask": ["bench.mask", "--json"],
    "denoiser": ["bench.denoiser", "--json"],
    "unbiased": ["bench.unbiased", "--json"],
    "logger": ["bench.logger", "--json"],
    "stores": ["bench.stores"],
    "bad_input": ["bench.bad_input", "--json"],
    "latency": ["bench.latency", "--json"],
    "pipeline": ["bench.pipeline", "--json", "--bootstrap", os.environ.get("TRACEWINNOW_BOOTSTRAP", "")],
}


def main() -> int:
    asked = sys.argv[1:] or list(MEASUREMENTS)
    if unknown := [name for name in asked if name not in MEASUREMENTS]:
        print(f"no measurement {unknown[0]!r}: there are {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 2
    failed = 0
    for name in asked:
        module, *arguments = MEASUREMENTS[name]
        if name == "pipeline" and not arguments[-1]:
            print("pipeline: left out; it needs TRACEWINNOW_BOOTSTRAP=HOST:PORT of a real broker", flush=True)
            continue
        print(f"{name}:", flush=True)
        failed |= subprocess.run([sys.executable, "-m", module, *arguments]).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""stamped.py FORM COMMAND...: runs it, and puts before each line what a CI system, a container runtime or a pod prefixes."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timezone


def prefix(form: str) -> str:
    now = datetime.now(timezone.utc)
    if form == "ci":
        return f"{now:%Y-%m-%dT%H:%M:%S.%f}0Z "
    if form == "cri":
        return f"{now:%Y-%m-%dT%H:%M:%S.%f}123+00:00 stdout F "
    if form == "compose":
        return "trainer-1  | "
    if form == "pod":
        return "[pod/train-job-7fk2x/worker-0] "
    return f"{now:%b %d %H:%M:%S} node-1 train[4711]: "


def main() -> None:
    form, command = sys.argv[1], sys.argv[2:]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in process.stdout:
        sys.stdout.buffer.write(prefix(form).encode() + line)
        sys.stdout.buffer.flush()
    code = process.wait()
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()

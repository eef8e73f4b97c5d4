"""Runs the catalogue's jobs and keeps what they printed: DIR/logs/<name>.log and one line each in DIR/jobs.jsonl.

python -m models.denoiser.recordings.record --out DIR --venvs DIR [--only NAME ...]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from fnmatch import fnmatchcase
from pathlib import Path

from .catalog import Job, jobs

PROGRAMS = Path(__file__).parent / "programs"
PROJECT = "/home/ml/project"  # what the log shows in place of the folder in which the job ran
VENV = "/opt/venv"
HOST = "node-1"
QUOTED = re.compile(r"\W*(\[\w+\]:?)*\W*raise ")
JAVA = shutil.which("java")
SYSTEM = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin" + (f":{Path(JAVA).parent}" if JAVA else "")
MATCHES = 3  # lines of evidence that one pattern may give


def rewritten(printed: bytes, work: Path, venv: Path) -> bytes:
    """`printed` with the paths and names of this machine replaced by neutral ones."""
    host = socket.gethostname()
    for old, new in [(work, PROJECT), (venv, VENV), (venv.resolve(), VENV), (Path.home(), "/home/ml")]:
        printed = printed.replace(str(old).encode(), new.encode())
    return re.sub(rb"(?<![\w./-])" + re.escape(host.encode()) + rb"(?![\w-])", HOST.encode(), printed)


def evidence(printed: bytes, patterns: tuple[str, ...]) -> list[int]:
    """1-based numbers of the lines (ended by a line feed) that the patterns find; "last:" takes the last ones."""
    lines = [line.decode(errors="replace") for line in printed.split(b"\n")]
    found: set[int] = set()
    for pattern in patterns:
        last = pattern.startswith("last:")
        sought = re.compile(pattern.removeprefix("last:"))
        # A traceback quotes the source of "raise"; what was raised is in its last line.
        numbers = [number for number, line in enumerate(lines, 1) if sought.search(line) and not QUOTED.match(line)]
        found.update(numbers[-1:] if last else numbers[:MATCHES])
    return sorted(found)


def run(job: Job, venvs: Path) -> tuple[bytes, int, float]:
    """What the job printed (both streams, in order), its exit status and the seconds that it took."""
    venv = venvs / job.venv
    if not (venv / "bin/python").exists():
        raise SystemExit(f"{job.name}: no {venv}/bin/python; make it with requirements/{job.venv}.txt (README.md)")
    work = Path(tempfile.mkdtemp(prefix="job-"))
    shutil.copytree(PROGRAMS, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {
        "PATH": f"{venv}/bin:{SYSTEM}",
        "HOME": str(work / "home"),
        "LANG": "C.UTF-8",
        "USER": "ml",
        "VIRTUAL_ENV": str(venv),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "120",
        **job.environment,
    }
    (work / "home").mkdir()
    if "JAVA_HOME" in os.environ:
        environment.setdefault("JAVA_HOME", os.environ["JAVA_HOME"])
    started = time.monotonic()
    process = subprocess.Popen(
        ["bash", "-c", job.command],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=job.limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        printed, _ = process.communicate()
    else:
        # Children that outlived the job must not outlive the recording.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    shutil.rmtree(work, ignore_errors=True)
    return rewritten(printed, work, venv), process.returncode, time.monotonic() - started


def record(job: Job, out: Path, venvs: Path) -> bool:
    """Runs one job, writes its log and replaces its line in jobs.jsonl; False when it did not end as the catalogue says."""
    printed, code, seconds = run(job, venvs)
    (out / "logs" / f"{job.name}.log").write_bytes(printed)
    found = evidence(printed, job.evidence)
    facts = {**job.facts(), "exit_code": code, "lines": printed.count(b"\n"), "evidence": found}
    table = out / "jobs.jsonl"
    kept = [
        line
        for line in (table.read_text().splitlines() if table.exists() else [])
        if json.loads(line)["name"] != job.name
    ]
    table.write_text("\n".join([*kept, json.dumps(facts)]) + "\n")
    unlike = []
    if job.outcome == "ok" and code:
        unlike.append(f"exit code {code} of a healthy job")
    if job.outcome == "failed" and not code and not job.silent:
        unlike.append("exit code 0 of a failing job")
    unlike += [f"nothing matches {each!r}" for each in job.evidence if not evidence(printed, (each,))]
    note = "; ".join(unlike) or "as expected"
    print(f"{job.name}: exit {code}, {facts['lines']} lines, {seconds:.0f} s, {note}", file=sys.stderr, flush=True)
    return not unlike


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--venvs", type=Path, required=True, help="holds one virtual environment for each file of requirements/"
    )
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="names, with * as in a shell")
    arguments = parser.parse_args()
    (arguments.out / "logs").mkdir(parents=True, exist_ok=True)
    wanted = arguments.only or ["*"]
    chosen = [job for job in jobs() if any(fnmatchcase(job.name, each) for each in wanted)]
    if not chosen:
        raise SystemExit("no job of the catalogue has such a name")
    unlike = [job.name for job in chosen if not record(job, arguments.out, arguments.venvs.resolve())]
    if unlike:
        raise SystemExit(f"not as the catalogue says: {', '.join(unlike)}")


if __name__ == "__main__":
    main()

"""The logs that the denoiser is trained and measured on: where each comes from, how its run ended, what people marked in it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SOURCES = (
    "logchunks",
    "cidiff",
    "algoperf",
    "mlperf",
    "logreduce",
    "bigscience",
    "nanogpt",
    "builds",
    "recorded",
    "jobs",
)
# Sources of which nearly every line is labelled. Of the others a sample is, with hard cases over-represented, and what stands
# beside it.
DENSE = ("builds", "jobs", "scenes")
# Broken in silence: many of its failed runs complete, with a wrong result, and its marks are the fewest lines that name the cause.
SILENT = "jobs"
RECORDINGS = Path(__file__).parent.parent / "recordings"
RECORDED = tuple(RECORDINGS / f"{name}.tar.xz" for name in ("builds", "recorded", "jobs"))


@dataclass(slots=True)
class Log:
    """One log and what is known about its run.

    lines: text between line feeds, UTF-8 with `surrogateescape`. marked: numbers from 0 of the lines that people, or whoever broke
    the job on purpose, called its cause. sha256: of the bytes, 16 hex digits.
    """

    source: str
    project: str  # splits never cut one in two
    path: Path
    outcome: str  # "ok", "failed" or "unknown"
    lines: list[str]
    sha256: str
    marked: list[int] = field(default_factory=list)
    workload: str = ""


def read_bytes(path: Path) -> bytes:
    """The file's bytes, of `path`.gz where it is compressed."""
    packed = path.with_name(path.name + ".gz")
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    return path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())


def lines_of(raw: bytes) -> list[str]:
    """Lines as the stages number them."""
    return raw.decode("utf8", "surrogateescape").split("\n")


def logs(data: Path | None, recorded: Sequence[Path] = (), sources: tuple[str, ...] = SOURCES) -> Iterator[Log]:
    """All logs under `data`, and of `recorded`, those of the repository, in a fixed order. What is absent is left out."""
    found = {
        "logchunks": logchunks,
        "cidiff": cidiff,
        "algoperf": algoperf,
        "mlperf": mlperf,
        "logreduce": logreduce,
        "bigscience": bigscience,
        "nanogpt": nanogpt,
    }
    for name, read in found.items():
        if name in sources and data is not None:
            yield from read(data)
    for written in recorded:
        if source_of(written) in sources:
            yield from recordings(written)


def log(source: str, project: str, path: Path, outcome: str, **known: Any) -> Log:
    """A log read from its file."""
    raw = read_bytes(path)
    return Log(source, project, path, outcome, lines_of(raw), hashlib.sha256(raw).hexdigest()[:16], **known)


def records(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines; none where it is absent."""
    if not path.exists() and not path.with_name(path.name + ".gz").exists():
        return []
    return [json.loads(line) for line in read_bytes(path).decode().splitlines() if line.strip()]


def logchunks(data: Path) -> Iterator[Log]:
    """Failed builds; a person marked the chunk that says why."""
    for record in records(data / "logchunks/labels.jsonl"):
        first, last = record["chunk_lines_in_log"]
        file = record["file"]
        project = file.split("/")[-2]
        yield log(
            "logchunks",
            project,
            data / "logchunks" / file,
            "failed",
            marked=list(range(first - 1, last)),
            workload="ci",
        )


def cidiff(data: Path) -> Iterator[Log]:
    """Pairs of a passing and a failing build; error lines marked in some."""
    for folder, _, files in sorted(os.walk(data / "cidiff")):
        here = Path(folder)
        project = re.sub(r"\d+$", "", here.parent.name)
        known = {file.removesuffix(".gz") for file in files}
        if "fail.log" in known:
            failing = log("cidiff", project, here / "fail.log", "failed", workload="ci")
            if "groundtruth" in known:
                failing.marked = sorted(marks(failing.lines, (here / "groundtruth").read_text(errors="replace")))
            yield failing
        if "pass.log" in known:
            yield log("cidiff", project, here / "pass.log", "ok", workload="ci")


def marks(lines: list[str], text: str) -> set[int]:
    """Lines from 0, between line feeds, of a cidiff groundtruth file, whose numbers count a lone carriage return too."""
    wanted = set()
    for row in text.split("\n"):
        if found := re.match(r"E (\d+)(?:-(\d+))?", row.strip()):
            wanted |= set(range(int(found[1]), int(found[2] or found[1]) + 1))
    result, number = set(), 1
    for place, line in enumerate(lines):
        parts = line.removesuffix("\r").count("\r") + 1
        if any(number + part in wanted for part in range(parts)):
            result.add(place)
        number += parts
    return result


def algoperf(data: Path) -> Iterator[Log]:
    """Training jobs on eight GPUs; the exceptions that ended the failed ones."""
    for record in records(data / "algoperf_job_logs/outcomes.jsonl"):
        marked = [line - 1 for line in record["fatal_exception_lines"]] if record["outcome"] == "failed" else []
        path = data / "algoperf_job_logs" / record["file"]
        yield log("algoperf", record["workload"], path, record["outcome"], marked=marked, workload="gpu_training")


def mlperf(data: Path) -> Iterator[Log]:
    """Results of training benchmarks, mostly of runs that went well."""
    ends = {"success": "ok", "aborted": "failed", "crashed": "failed"}
    for record in records(data / "mlperf/outcomes.jsonl"):
        kind = "tpu_training" if "TPU" in record["accelerator"] else "gpu_training"
        outcome = ends.get(record["run_stop"], "unknown")
        yield log("mlperf", record["file"].rsplit("__", 1)[0], data / "mlperf" / record["file"], outcome, workload=kind)


def logreduce(data: Path) -> Iterator[Log]:
    """Pairs of a good and a failed log of systems and their tests."""
    for folder in sorted(path for path in (data / "logreduce_tests").glob("*") if path.is_dir()):
        files = {file.name.removesuffix(".gz"): file for file in folder.iterdir()}
        good = [path for name, path in files.items() if "good" in name]
        bad = [path for name, path in files.items() if name.endswith("bad") or ".bad" in name or "fail" in name]
        for path in sorted(good):
            yield log("logreduce", folder.name, path, "ok", workload="launcher")
        for path in sorted(bad):
            yield log("logreduce", folder.name, path, "failed", workload="launcher")


def bigscience(data: Path) -> Iterator[Log]:
    """Slurm output of large language-model training; how each run ended is not told."""
    for path in sorted(path for path in (data / "bigscience").rglob("*") if ".out" in path.name):
        yield log("bigscience", path.parent.name, path, "unknown", workload="gpu_training")


def nanogpt(data: Path) -> Iterator[Log]:
    """Single-node language-model training runs that completed."""
    for path in sorted(
        path for path in (data / "nanogpt_speedruns").rglob("*") if ".txt" in path.name or ".log" in path.name
    ):
        yield log("nanogpt", path.parent.name, path, "ok", workload="gpu_training")


def source_of(written: Path) -> str:
    """The source that a file or folder of jobs is named for; what has another name is what record.py wrote."""
    name = written.name.split(".")[0]
    return name if name in SOURCES else "recorded"


def recordings(written: Path) -> Iterator[Log]:
    """Jobs of our own, many of them broken on purpose.

    written: a folder of logs/ and jobs.jsonl, or the same packed by tar and xz.
    """
    source = source_of(written)
    if written.is_dir():
        files = {str(path.relative_to(written)): path.read_bytes() for path in written.rglob("*") if path.is_file()}
    else:
        with tarfile.open(written, "r:xz") as packed:
            members = [(one.name.removeprefix("./"), packed.extractfile(one)) for one in packed.getmembers()]
            files = {name: file.read() for name, file in members if file is not None}
    for record in map(json.loads, files["jobs.jsonl"].decode().splitlines()):
        name = f"logs/{record['name']}.log"
        if name not in files:
            continue
        raw, marked = files[name], [line - 1 for line in record["evidence"]]
        digest = hashlib.sha256(raw).hexdigest()[:16]
        yield Log(
            source, record["framework"], Path(name), record["outcome"], lines_of(raw), digest, marked,
            workload=record["workload"],
        )  # fmt: skip

"""What is known of each recorded job before it runs: catalog.jsonl, one job a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

WORKLOADS = ("cpu_training", "inference", "data_pipeline", "ci", "launcher", "evaluation")


@dataclass(frozen=True)
class Job:
    """One job: how it is run, and what is true of it."""

    name: str
    framework: str
    workload: str  # one of WORKLOADS
    launcher: str
    venv: str  # a file of requirements/ without its ending
    command: str  # for bash, in a folder that holds a copy of programs/
    fault: str = ""  # the kind; empty: a healthy job
    cause: str = ""
    evidence: tuple[str, ...] = ()  # patterns of the lines that tell the cause; see record.evidence
    silent: bool = False  # it failed, and ended with exit code 0 all the same
    limit: float = 300.0  # seconds after which it is killed
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        return "failed" if self.fault else "ok"

    def facts(self) -> dict[str, object]:
        """The fields of the job's line in jobs.jsonl that do not depend on what it printed."""
        names = ("name", "framework", "workload", "launcher", "outcome", "fault", "cause")
        return {name: getattr(self, name) for name in names}


def jobs() -> list[Job]:
    """Every job of the catalogue.

    Raises ValueError for a name that is there twice, a workload that is none, or a failing job without cause or evidence.
    """
    found: dict[str, Job] = {}
    for line in (Path(__file__).parent / "catalog.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        job = Job(**{**told, "evidence": tuple(told.get("evidence", ()))})
        if job.name in found or job.workload not in WORKLOADS or (job.fault and not (job.cause and job.evidence)):
            raise ValueError(f"catalog.jsonl: bad entry {job.name!r}")
        found[job.name] = job
    return list(found.values())

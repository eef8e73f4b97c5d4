"""Labelled logs as the stages read them: arrays for each log, and the distinct templates of all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracewinnow.models.denoiser.training.corpus import DENSE, Log
from tracewinnow.models.denoiser.training.labels import ranges, rows
from tracewinnow.transforms.features import CLASSES
from tracewinnow.transforms.reading import Reading, read
from tracewinnow.transforms.score import View, score

HEAD = re.compile(r"# scenario: .*\| outcome: (\w+) \| workload: (\w+)")


class Segment(NamedTuple):
    """Lines that a reader judged, from 0, and their class. sampled: chosen for itself, not because it stands beside another."""

    lines: list[int]
    kind: int
    sampled: bool = False


@dataclass(slots=True)
class Sample:
    """One labelled log. template: int64[n], numbers into Study.templates. label: int8[n], -1 where nobody read the line.

    segment: int32[n], number of the labelled segment, -1 for none; sampled: bool[n], see Segment. marked: bool[n], evidence.
    rules: float32[n], the rules' score.
    """

    source: str
    project: str
    outcome: str
    workload: str
    name: str
    view: View
    rules: npt.NDArray[np.float32]
    template: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    segment: npt.NDArray[np.int32]
    sampled: npt.NDArray[np.bool_]
    marked: npt.NDArray[np.bool_]
    shown: list[str]


@dataclass(slots=True)
class Study:
    """All labelled logs. templates: distinct masked lines."""

    templates: list[bytes] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    number: dict[bytes, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def add(self, one: Log, labelled: list[Segment]) -> None:
        """Add a log and the segments of it that were read."""
        reading = read(one.lines)
        numbers = np.array([self.number.setdefault(t, len(self.number)) for t in reading.templates], np.int64)
        n = len(one.lines)
        label, segment = np.full(n, -1, np.int8), np.full(n, -1, np.int32)
        marked, sampled = np.zeros(n, bool), np.zeros(n, bool)
        marked[[line for line in one.marked if line < n]] = True
        for number, (lines, kind, chosen) in enumerate(labelled):
            shown = [line for line in lines if reading.shown[line].strip()]
            label[shown] = kind
            segment[shown] = number
            sampled[shown] = chosen
        template = numbers[reading.view.template]
        self.samples.append(
            Sample(
                one.source, one.project, one.outcome, one.workload, one.path.stem, reading.view, score(reading.view),
                template, label, segment, sampled, marked, reading.shown,
            )
        )  # fmt: skip

    def finish(self) -> Study:
        """The study, its templates listed."""
        self.templates = list(self.number)
        return self


def scenes(files: Iterable[Path]) -> Iterator[tuple[Log, list[Segment]]]:
    """Scenes that were written for training: every line has its class; a run of lines of one class in one block is a segment."""
    for path in files:
        raw = path.read_text(errors="surrogateescape").rstrip("\n").split("\n")
        head = HEAD.match(raw[0])
        listed = [row.split("\t", 1) for row in raw[1:] if row[:1] in CLASSES and row[1:2] == "\t"]
        if not head or not listed:
            continue
        lines = [row[1] for row in listed]
        one = Log("scenes", path.parent.name + "/" + path.stem, path, head[1], lines, path.stem, workload=head[2])
        yield one, segments_of(read(lines), [CLASSES.index(row[0]) for row in listed])


def segments_of(reading: Reading, kinds: list[int]) -> list[Segment]:
    """Lines of a block that have one class are a segment."""
    found: dict[tuple[int, int], list[int]] = {}
    for line, kind in enumerate(kinds):
        found.setdefault((int(reading.view.block[line]), kind), []).append(line)
    return [Segment(lines, kind) for (_, kind), lines in found.items()]


def labelled(folder: Path) -> dict[str, list[Segment]]:
    """Labels by the content hash of their log."""
    found: dict[str, list[Segment]] = {}
    for row in rows(folder):
        sampled = row["source"] not in DENSE and "beside" not in row
        found.setdefault(row["log"], []).append(Segment(ranges(row["lines"]), CLASSES.index(row["label"]), sampled))
    return found


def study(logs: Iterable[Log], labels: Path, written: Iterable[Path] = ()) -> Study:
    """Labels joined to their logs; `missing` names the logs that were labelled and are not there."""
    known = labelled(labels)
    result = Study()
    for one in logs:
        if one.sha256 in known:
            result.add(one, known.pop(one.sha256))
    result.missing = sorted(known)
    for one, segments in scenes(written):
        result.add(one, segments)
    return result.finish()

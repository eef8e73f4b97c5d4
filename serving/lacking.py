"""What the archive holds of a job and no trace does: windows, parts and batches that were not built."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tracewinnow.serving.damage import put_back
from tracewinnow.serving.holes import Batch, Lack
from tracewinnow.stores.archive import Archive
from tracewinnow.stores.errors import CorruptObject

NOT_BUILT = "is archived but not built"


@dataclass(slots=True)
class Built:
    """What the tables tell of a window: the parts that are there, how many it has (0: not told), where it ends, its batches."""

    parts: set[int] = field(default_factory=set)
    of: int = 0
    end_ns: int = 0
    ranges: set[tuple[str, int, int]] = field(default_factory=set)  # process_uuid, first, last

    @property
    def batches(self) -> int:
        """How many it was made from."""
        return sum(last - first + 1 for _, first, last in self.ranges)


class Failed(NamedTuple):
    """Why the pipeline gave up on a window when it built it last, as its dead letter says."""

    code: str
    reason: str


@dataclass(slots=True)
class Missing:
    """batches: those that are archived, and in no trace. damaged: whether some objects do not tell what they held."""

    lacks: list[Lack] = field(default_factory=list)
    batches: set[Batch] = field(default_factory=set)
    damaged: bool = False


def missing(
    archive: Archive, job_id: str, built: Mapping[int, Built], failed: Mapping[int, Failed], due_ns: int, command: str
) -> Missing:
    """Compare the archive of a job with its traces. Blocks: reads the index of windows that are not built, or failed.

    built, failed: by the window's start. due_ns: a window that is not over by then may still be built. command: what builds the
    job's windows again.
    """
    found = Missing()
    length = max((window.end_ns - start for start, window in built.items()), default=0)
    for start in archive.windows(job_id):
        window, letter = built.get(start, Built()), failed.get(start)
        if not window.parts and letter is None and start + length > due_ns:
            continue
        lost = [part for part in range(window.of) if part not in window.parts]
        found.lacks += [Lack(start, part, NOT_BUILT, _why(letter, command)) for part in lost]
        if window.parts and letter is None:
            continue
        damaged: list[CorruptObject] = []
        there = {(entry.process_uuid, entry.sequence) for entry in archive.index(job_id, start, damaged=damaged)}
        known = _inside(window.ranges, there)
        found.batches |= there - known
        found.damaged |= bool(damaged)
        what = _what(window, len(there - known), bool(damaged), window.batches > len(known))
        if what and not lost:
            found.lacks.append(
                Lack(start, -1, what, put_back(damaged[0], command) if damaged else _why(letter, command))
            )
    return found


def _what(window: Built, left: int, damaged: bool, knows_more: bool) -> str:
    """What a window lacks, or "". left: how many batches are archived and not built; knows_more: of what is built some is gone."""
    if not window.parts:
        return NOT_BUILT if left or damaged else ""
    if left:
        return "lacks 1 batch that is archived" if left == 1 else f"lacks {left} batches that are archived"
    # What was made from more than can be read today was made before the damage.
    return "was built without a damaged object of the archive" if damaged and not knows_more else ""


def _inside(ranges: Iterable[tuple[str, int, int]], batches: Iterable[Batch]) -> set[Batch]:
    """Those of the batches that are in the ranges."""
    of: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for uuid, first, last in ranges:
        of[uuid].append((first, last))
    return {(uuid, at) for uuid, at in batches if any(first <= at <= last for first, last in of[uuid])}


def _why(failed: Failed | None, command: str) -> str:
    if failed is None:
        return f"`{command}` builds it, where no running pipeline is about to"
    remedy = "put back a copy, then" if failed.code == "corrupt-archive" else "after an upgrade,"
    return f"{failed.reason.partition(';')[0]}; {remedy} `{command}` builds it"

"""What healthy runs print: a profile of templates that tells a harmless error from a real one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracewinnow.schemas.errors import BadInput

FORMAT = "tracewinnow-reference-1"
MOST = 1_000_000  # templates of a profile: 23 MB saved, 12 MB in memory
LARGEST = 64 << 20  # bytes of a saved profile that are read
MOST_RUNS = (1 << 31) - 1
NAME = re.compile("[0-9a-f]{16}")

Names = npt.NDArray[np.uint64]


def no_names() -> Names:
    """No template."""
    return np.zeros(0, np.uint64)


@dataclass(slots=True, eq=False)
class Reference:
    """How many healthy runs were seen, and in how many of them each template stood. Mergeable: merge(a, b) == merge(b, a).

    names: uint64[n] ascending, first 64 bits of the SHA-256 of each template. counts: uint32[n], runs that held it. Of more than
    MOST templates those of the most runs stay, of equals the smaller name: what few runs print says least.
    """

    runs: int = 0
    names: Names = field(default_factory=no_names)
    counts: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    _digest: str = ""

    def add(self, names: Iterable[str] | Names) -> None:
        """Count one healthy run, given the template names of its lines (16 hex digits, or numbers; repeats do not matter)."""
        found = names if isinstance(names, np.ndarray) else np.array([int(name, 16) for name in names], np.uint64)
        found = np.unique(found)
        both = self.merge(Reference(1, found, np.ones(len(found), np.uint32)))
        self.runs, self.names, self.counts, self._digest = both.runs, both.names, both.counts, ""

    def merge(self, other: Reference) -> Reference:
        """The profile of both sets of runs. Raises BadInput where there are more runs than a profile can count."""
        runs = self.runs + other.runs
        if runs > MOST_RUNS:
            raise BadInput("not-a-reference", f"the profiles count {runs} runs; one holds at most {MOST_RUNS}")
        names, where = np.unique(np.concatenate([self.names, other.names]), return_inverse=True)
        counts = np.zeros(len(names), np.uint32)
        np.add.at(counts, where, np.concatenate([self.counts, other.counts]))
        if len(names) > MOST:
            stays = np.sort(np.lexsort((names, -counts.astype(np.int64)))[:MOST])
            names, counts = names[stays], counts[stays]
        return Reference(runs, names, counts)

    def share(self, names: Names) -> npt.NDArray[np.float32]:
        """Share of the healthy runs that print each template: uint64[k] -> float32[k]; zeros where no run was seen."""
        if not self.runs or not len(self.names):
            return np.zeros(len(names), np.float32)
        at = np.minimum(np.searchsorted(self.names, names), len(self.names) - 1)
        return np.where(self.names[at] == names, self.counts[at] / self.runs, 0).astype(np.float32)

    def save(self) -> str:
        """As JSON, with its digest, so that damage is found; equal profiles, equal text."""
        return f'{self._body()[:-1]}, "sha256": "{self.digest()}"}}'

    def _body(self) -> str:
        named = {
            f"{name:016x}": count for name, count in zip(self.names.tolist(), self.counts.tolist(), strict=True)
        }  # sorted, because the numbers are
        return json.dumps({"format": FORMAT, "runs": self.runs, "templates": named})

    def digest(self) -> str:
        """SHA-256 of the profile as JSON without its digest, hex; worked out once."""
        if not self._digest:
            self._digest = hashlib.sha256(self._body().encode()).hexdigest()
        return self._digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.digest() == other.digest()

    __hash__ = None  # type: ignore[assignment]

    @staticmethod
    def load(text: str) -> Reference:
        """What save() wrote, now or before it wrote a digest. Raises BadInput for what is damaged, something else or too large."""
        if len(text) > LARGEST:
            raise BadInput("reference-too-large", f"a profile has at most {LARGEST >> 20} MB, and this one {len(text)}")
        try:
            loaded = json.loads(text)
            format, runs, templates = loaded["format"], loaded["runs"], loaded["templates"]
        except (ValueError, KeyError, TypeError, RecursionError) as wrong:
            what = "this is no reference profile, or a damaged one"
            raise BadInput("not-a-reference", f"{what}: make it again with `tracewinnow reference build`") from wrong
        if format != FORMAT:
            raise BadInput("not-a-reference", f"the profile's format is {format!r:.60}; this version reads {FORMAT!r}")
        if type(runs) is not int or not 0 <= runs <= MOST_RUNS or not isinstance(templates, dict):
            raise BadInput("not-a-reference", "the profile does not say of how many runs it is, or holds no templates")
        if len(templates) > MOST:
            raise BadInput(
                "reference-too-large", f"the profile has {len(templates)} templates; at most {MOST} are read"
            )
        try:
            names = np.array([hexadecimal(name) for name in templates], np.uint64)
            counts = np.array([counted(count, runs) for count in templates.values()], np.uint32)
        except ValueError as wrong:
            raise BadInput("not-a-reference", f"the profile is damaged: {wrong}") from wrong
        order = np.argsort(names)
        found = Reference(runs, names[order], counts[order])
        # A key of another name is what damage makes of "sha256".
        if loaded.keys() - {"format", "runs", "templates"} and loaded.get("sha256") != found.digest():
            raise BadInput(
                "not-a-reference",
                "the profile is damaged: its checksum is wrong. Make it again with `tracewinnow reference build`",
            )
        return found


def hexadecimal(name: str) -> int:
    """A template's name as a number. Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r:.60} is no template's name")
    return int(name, 16)


def counted(count: object, runs: int) -> int:
    """The number of runs that held a template. Raises ValueError where it cannot be."""
    if type(count) is not int or not 0 < count <= runs:
        raise ValueError(f"a template stood in {count!r:.60} of {runs} runs")
    return count

"""What healthy runs print: a profile of templates that tells a harmless error from a real one."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tracewinnow.schemas.errors import BadInput

FORMAT = "tracewinnow-reference-1"


@dataclass(slots=True)
class Reference:
    """How many healthy runs were seen, and in how many of them each template stood. Mergeable: merge(a, b) == merge(b, a).

    templates: template name (16 hex digits) -> number of runs that held it.
    """

    runs: int = 0
    templates: dict[str, int] = field(default_factory=dict)

    def add(self, names: Iterable[str]) -> None:
        """Count one healthy run, given the template names of its lines (repeats do not matter)."""
        self.runs += 1
        for name in set(names):
            self.templates[name] = self.templates.get(name, 0) + 1

    def merge(self, other: Reference) -> Reference:
        """The profile of both sets of runs."""
        return Reference(self.runs + other.runs, dict(Counter(self.templates) + Counter(other.templates)))

    def save(self) -> str:
        """As JSON; equal profiles, equal text."""
        return json.dumps({"format": FORMAT, "runs": self.runs, "templates": self.templates}, sort_keys=True)

    def digest(self) -> str:
        """SHA-256 of the profile, hex."""
        return hashlib.sha256(self.save().encode()).hexdigest()

    @staticmethod
    def load(text: str) -> Reference:
        """What save() wrote. Raises BadInput where it is something else."""
        try:
            loaded = json.loads(text)
            templates = {str(name): int(count) for name, count in loaded["templates"].items()}
            found = Reference(int(loaded["runs"]), templates)
            format = loaded["format"]
        except (ValueError, KeyError, TypeError, AttributeError) as wrong:
            raise BadInput("not-a-reference", f"this is no reference profile: {wrong!r}") from wrong
        if format != FORMAT:
            raise BadInput("not-a-reference", f"the profile's format is {format!r}; this version reads {FORMAT!r}")
        return found

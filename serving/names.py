"""Which job a name means that somebody typed."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tracewinnow.schemas.errors import TracewinnowError
from tracewinnow.serving.text import plain

NAMED = 5


class UnknownJob(TracewinnowError):
    """No job of that name, or more than one; the message names what is near."""


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """The names that were probably meant, best first."""
    inside = [job for job in known if name.lower() in job.lower()][:NAMED]
    return inside or difflib.get_close_matches(name, known, n=NAMED, cutoff=0.4)


def meant(name: str, known: Sequence[str], uri: str) -> str:
    """The job that `name` means: its whole id, or the beginning of only one. known: of the warehouse at uri. Raises UnknownJob."""
    if name in known:
        return name
    begun = [job for job in known if job.startswith(name)]
    if len(begun) == 1 and name:
        return begun[0]
    if begun and name:
        some = ", ".join(map(plain, begun[:NAMED]))
        more = f" and {len(begun) - NAMED} more" if len(begun) > NAMED else ""
        raise UnknownJob(f"{name!r} begins {len(begun)} jobs: {some}{more}. Give more of the name.")
    if not known:
        raise UnknownJob(f"No job {name!r}: {uri} holds no jobs yet.")
    near = ", ".join(map(plain, nearest(name, known)))
    hint = f"Did you mean {near}?" if near else f"{uri} holds {len(known)}; see `tracewinnow jobs`."
    raise UnknownJob(f"No job {name!r}. {hint}")

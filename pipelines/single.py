"""One local writer a warehouse: two would take each other's plan."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tracewinnow.schemas.errors import BadUse


@contextlib.contextmanager
def only_one(warehouse: str, verb: str) -> Iterator[None]:
    """Hold WAREHOUSE/state/<verb>.lock while inside. Raises BadUse when another process holds it, OSError for a folder not ours.

    The lock ends with its process, however that ends. A warehouse in the cloud has no such lock.
    """
    if "://" in warehouse:
        yield
        return
    path = Path(warehouse) / "state" / f"{verb}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as held:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise BadUse(
                f"process {owner} already runs `tracewinnow {verb}` on {warehouse}: stop it, or take another warehouse"
            ) from held
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield

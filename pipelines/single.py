"""One local writer a warehouse: two would take each other's plan."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tracewinnow.schemas.errors import BadUse
from tracewinnow.stores.local_objects import clear_errors


@contextlib.contextmanager
def only_one(warehouse: str, verb: str) -> Iterator[None]:
    """Hold WAREHOUSE/state/<verb>.lock while inside.

    Raises BadUse when another process holds it and when the warehouse is no folder, StoreError for a folder not ours.

    The lock ends with its process, however that ends. A warehouse in the cloud has no such lock: there the state of the stream
    says whose it is.
    """
    warehouse = warehouse.removeprefix("file://")
    if "://" in warehouse:
        yield
        return
    path = Path(warehouse) / "state" / f"{verb}.lock"
    if Path(warehouse).exists() and not Path(warehouse).is_dir():
        raise BadUse(f"{warehouse} is a file: a warehouse is a folder, which is made when it is not there")
    with clear_errors(path, reading=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+")
    with lock as file:
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

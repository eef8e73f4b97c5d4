"""What of a warehouse is damaged: found when a question fails, and named together with what makes it again."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tracewinnow.schemas.errors import TracewinnowError, Transient
from tracewinnow.stores.errors import CorruptObject, NotFound, StoreError, TooNew
from tracewinnow.stores.objects import ObjectStore
from tracewinnow.stores.traces import made_again

NAMED = 5
LETTERS = "tables/dead_letters/"


def rebuild_command(job_id: str, uri: str) -> str:
    """What builds the windows of a job again; those of all jobs for "", and where a terminal could not show the name."""
    which = ["--job", job_id] if job_id and job_id.isprintable() else []
    return shlex.join(["tracewinnow", "rebuild", *which, "--warehouse", uri])


def put_back(wrong: CorruptObject, command: str) -> str:
    """An object of the archive that cannot be read, and what to do. command: what builds what it holds."""
    remedy = "then" if isinstance(wrong, TooNew) else "put back a copy, then"
    return f"{wrong}; {remedy} `{command}` builds it"


def damaged_archive(damaged: Sequence[CorruptObject], what: str, job_id: str, uri: str) -> TracewinnowError:
    """The error after what could be read. what: a sentence that says what was not."""
    told = {wrong.name: put_back(wrong, rebuild_command(job_id, uri)) + "." for wrong in damaged}
    more = [f"And {len(told) - NAMED} more objects."] if len(told) > NAMED else []
    return TracewinnowError("\n".join([what, *list(told.values())[:NAMED], *more]))


def unreadable(store: ObjectStore, uri: str, failed: Exception) -> TracewinnowError:
    """The error to raise where DuckDB could not read the tables: it names the files that are damaged. Blocks: reads them.

    Raises StoreError and Transient for a file that the store does not give.
    """
    import pyarrow.parquet as pq

    # The ends of the files first: what was cut short, as nearly all damage is, is found by them without the rest.
    found = list(_damaged(store, pq.read_metadata)) or list(_damaged(store, pq.read_table))
    if not found:
        first = str(failed).strip().partition("\n")[0]
        return TracewinnowError(
            f"The tables of {uri} could not be read ({first}). If something writes to them just now, ask again."
        )
    told = []
    for name in found[:NAMED]:
        lost = "what it told of refused records is lost"
        again = lost if name.startswith(LETTERS) else made_again(name, uri)
        told.append(f"{uri.rstrip('/')}/{name} is damaged. Remove it; {again}.")
    more = [f"And {len(found) - NAMED} more files."] if len(found) > NAMED else []
    return TracewinnowError("\n".join([*told, *more]))


def _damaged(store: ObjectStore, read: Callable[[Any], Any]) -> Iterator[str]:
    for info in store.list("tables/"):
        if info.name.endswith(".parquet"):
            try:
                read(io.BytesIO(store.get(info.name)))
            except NotFound:  # it went away since it was listed
                continue
            except (StoreError, Transient):
                raise
            except Exception:  # noqa: BLE001 - Arrow has many errors for what is no Parquet
                yield info.name

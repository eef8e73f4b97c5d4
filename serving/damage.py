"""What of a warehouse is damaged: found when a question fails, and named together with what makes it again."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

from tracewinnow.schemas.errors import TracewinnowError
from tracewinnow.stores.objects import ObjectStore
from tracewinnow.stores.traces import job_of, made_again

NAMED = 5


def unreadable(store: ObjectStore, uri: str, failed: Exception) -> TracewinnowError:
    """The error to raise where DuckDB could not read the tables: it names the files that are damaged. Blocks: reads them."""
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
        again = "what it told of refused records is lost" if job_of(name) is None else made_again(name, uri)
        told.append(f"{uri.rstrip('/')}/{name} is damaged. Remove it; {again}.")
    more = [f"And {len(found) - NAMED} more files."] if len(found) > NAMED else []
    return TracewinnowError("\n".join([*told, *more]))


def _damaged(store: ObjectStore, read: Callable[[Any], Any]) -> Iterator[str]:
    for info in store.list("tables/"):
        if info.name.endswith(".parquet"):
            try:
                read(io.BytesIO(store.get(info.name)))
            except Exception:  # noqa: BLE001 - Arrow has many errors for what is no Parquet
                yield info.name

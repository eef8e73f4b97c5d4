"""What is known of a window already: asked before it is built again from an archive that has lost some of it."""

from __future__ import annotations

from tracewinnow.pipelines.records import WindowKey
from tracewinnow.stores.archive import BatchName
from tracewinnow.stores.errors import CorruptObject, NotFound
from tracewinnow.stores.objects import ObjectStore
from tracewinnow.stores.traces import read_trace, trace_object


def known_batches(store: ObjectStore, key: WindowKey) -> set[BatchName]:
    """The batches from which those traces of the window were made that readers take; none where none is stored. Blocks.

    What a trace that cannot be read was made from is not known: nothing is lost by writing in its place.
    """
    prefix = trace_object(*key, 0, 0).rpartition("-r")[0] + "-r"
    revisions: dict[int, list[str]] = {}
    for info in store.list(prefix):
        revision = info.name[len(prefix) :].partition("-")[0]
        if revision.isdecimal():
            revisions.setdefault(int(revision), []).append(info.name)
    found: set[BatchName] = set()
    for name in revisions[max(revisions)] if revisions else ():
        try:
            trace = read_trace(store, name)
        except (CorruptObject, NotFound):
            continue
        for one in trace.processes:
            found.update((one.process_uuid, sequence) for sequence in range(one.first, one.last + 1))
    return found

"""The two ends of the local runner's graph: what its saved plan says is read, and which windows it touched is written down.

Both look the plan up when they run, so that one graph serves all runs.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator

import apache_beam as beam

from tracewinnow.pipelines.kafka_source import KafkaSource
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.plan import State
from tracewinnow.pipelines.records import Record, WindowKey
from tracewinnow.schemas.errors import BadUse, Transient
from tracewinnow.stores.objects import ObjectStore, open_objects

STATE = "state/stream.json"
SILENCE = 30.0  # seconds without a record that the broker says it has


def load(store: ObjectStore) -> State:
    """The state as it was saved. Raises NotFound where none is, TracewinnowError where it cannot be read."""
    return State.from_json(store.get(STATE))


def load_own(store: ObjectStore, owner: str) -> State:
    """The state as `owner` saved it. Raises BadUse where another process has saved its own since."""
    state = load(store)
    if state.owner != owner:
        raise BadUse(
            f"another process streams into this warehouse ({state.who or 'of an older version'}): end one of them"
        )
    return state


class ReadPlanFn(beam.DoFn):
    """Impulse -> list[Record], the ranges of the plan in hand, one after the other. Blocks on the broker.

    Raises Transient, and BadUse where the plan on disk is not the owner's: its offsets would be taken for read.
    """

    def __init__(self, bootstrap: str, settings: Settings, owner: str) -> None:
        self.bootstrap = bootstrap
        self.settings = settings
        self.owner = owner

    def process(self, impulse: bytes) -> Iterator[list[Record]]:
        state = load_own(open_objects(self.settings.warehouse), self.owner)
        for part in KafkaSource(self.bootstrap, ranges=[list(part) for part in state.ranges]).split(0):
            reader = part.create_reader(None, None)
            try:
                while part.stop is not None and reader.offset < part.stop:
                    if reader.advance():
                        yield reader.get_current()
                    elif time.monotonic() - reader.idle_since > SILENCE:
                        raise Transient(
                            f"the broker gave nothing of {part.topic}/{part.partition} from offset {reader.offset} on "
                            f"for {SILENCE:g}s"
                        )
            finally:
                reader.close()


class RememberFn(beam.DoFn):
    """(WindowKey, at once?) -> one object of JSON a bundle, in a folder where the local runner finds it after the run."""

    def __init__(self, settings: Settings, owner: str) -> None:
        self.settings = settings
        self.owner = owner

    def setup(self) -> None:
        self.store = open_objects(self.settings.warehouse)

    def start_bundle(self) -> None:
        self.keys: dict[WindowKey, bool] = {}

    def process(self, written: tuple[WindowKey, bool]) -> None:
        key, at_once = written
        self.keys[key] = at_once or self.keys.get(key, False)

    def finish_bundle(self) -> None:
        if self.keys:
            data = json.dumps([[*key, at_once] for key, at_once in sorted(self.keys.items())]).encode()
            self.store.put(f"{load_own(self.store, self.owner).folder}/{hashlib.sha256(data).hexdigest()}.json", data)

"""Settings of a pipeline: what the graph must know, in one frozen, picklable object."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from tracewinnow.schemas.errors import BadInput, BadUse
from tracewinnow.stores.archive import PART_BYTES
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.reference import LARGEST, Reference

SECOND = 1_000_000_000  # ns
UNITS = {"ms": SECOND // 1000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86400 * SECOND}


def duration_ns(text: str) -> int:
    """ "90s", "10m", "1h", "250ms" -> nanoseconds. Raises BadUse."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text.strip())
    if not found:
        raise BadUse(f"{text!r} is not a duration: give a number and a unit, such as 90s, 10m or 1h")
    return int(float(found[1]) * UNITS[found[2]])


@dataclass(frozen=True, slots=True)
class Settings:
    """warehouse: a folder or gs://bucket/prefix. window_ns: length of a window; must stay the same for a warehouse.

    part_bytes: a window that holds more raw bytes is built as several traces. late_ns: how long the runner waits for late
    data of a window; older data is built at once instead. registry: URL of a schema registry, or "". reference: file of the
    profile in `stage`, from which another process on this machine reads it, or "".
    """

    warehouse: str
    window_ns: int = 60 * SECOND
    part_bytes: int = PART_BYTES
    late_ns: int = 86400 * SECOND
    registry: str = ""
    reference: str = ""
    tables: str = ""  # where they are not in the warehouse: bq://project/dataset
    stage: Options = field(default_factory=lambda: Options(budget=2000, store_tokens=8000))

    def __post_init__(self) -> None:
        if not self.warehouse:
            raise BadUse("no warehouse given: pass --warehouse with a folder or gs://bucket/prefix")
        if self.window_ns < SECOND:
            raise BadUse("a window is at least 1s long")
        if self.window_ns > 31 * 86400 * SECOND:
            raise BadUse("a window is at most 31d long: what it holds is read at once")
        if self.part_bytes < 1 << 16:
            raise BadUse("a part of a window holds at least 64 KiB")

    def to_json(self) -> str:
        """For another process on this machine: a profile is not carried, but where it stands."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "stage"}
        stage = {
            name: getattr(self.stage, name) for name in ("budget", "query", "workload", "store_tokens", "rel_error")
        }
        return json.dumps({**fields, "stage": stage})

    @staticmethod
    def from_json(text: str) -> Settings:
        """What to_json gave. Raises BadUse where the profile cannot be read."""
        fields = json.loads(text)
        stage = Options(**fields["stage"], reference=profile_at(fields["reference"]))
        return Settings(**{**fields, "stage": stage})


def profile_at(path: str) -> Reference | None:
    """The profile of healthy runs in a file; None for "". Raises BadUse where there is none to read."""
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
        return Reference.load(data.decode("utf8", "replace"))
    except OSError as wrong:
        raise BadUse(f"--reference {path} cannot be read: {wrong.strerror}") from wrong
    except BadInput as wrong:
        build = "`tracewinnow reference build`"
        advice = "" if build in wrong.reason else f"; make one of healthy logs with {build}"
        raise BadUse(f"--reference {path}: {wrong.reason}{advice}") from wrong

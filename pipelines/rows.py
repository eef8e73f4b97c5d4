"""Rows of JSON lines and Parquet -> events. What is not understood is kept as the text it was."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from tracewinnow.schemas.telemetry_pb2 import STREAM_FILE, Event, TelemetryBatch
from tracewinnow.schemas.validate import in_time
from tracewinnow.transforms.lines import encodable

TIME = ("time_ns", "timestamp", "time", "ts", "@timestamp", "created", "asctime", "datetime")
TEXT = ("message", "msg", "text", "log", "line", "body")
JOB = ("job_id", "job", "run_id", "run")
STEP = ("step", "global_step", "iteration")
LATEST_NS = (1 << 63) - 1
LEVEL = ("level", "levelname", "severity")
LEVELS = {
    "trace": 5,
    "debug": 10,
    "info": 20,
    "notice": 20,
    "warn": 30,
    "warning": 30,
    "error": 40,
    "err": 40,
    "fatal": 50,
    "critical": 50,
}


def parse_time(value: Any) -> int | None:
    """Unix nanoseconds from seconds, milliseconds, microseconds or nanoseconds (told by their size) or ISO 8601; else None.

    None as well for a time beyond LATEST_NS: what is written for "never" says nothing of when a row was written.
    """
    if isinstance(value, datetime):
        try:
            found = int((value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp() * 1e9)
        except (OverflowError, ValueError):
            return None
        return found if abs(found) <= LATEST_NS else None
    if isinstance(value, str):
        try:
            return parse_time(datetime.fromisoformat(value.strip().replace("Z", "+00:00").replace(",", ".")))
        except ValueError:
            try:
                value = float(value)
            except ValueError:
                return None
    if not _is_number(value) or not abs(value) < 1e20:
        return None
    for limit, unit in ((1e11, 1e9), (1e14, 1e6), (1e17, 1e3), (1e20, 1)):
        if value * unit / 1e9 > 1e8 and abs(value) < limit:
            found = int(value) * int(unit) if isinstance(value, int) else int(value * unit)
            return found if found <= LATEST_NS else None
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _named(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((name for name in names if row.get(name) is not None), "")


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return row.get(_named(row, names))


def job_of(row: Mapping[str, Any]) -> str | None:
    """The job that a row names, if it names one."""
    job = _first(row, JOB)
    return _string(job) if isinstance(job, str) and job else None


def _string(text: str) -> str:
    """As protobuf takes it: JSON may hold half a pair of UTF-16."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def event_of(row: Mapping[str, Any], raw: bytes) -> tuple[Event, int | None]:
    """(event, its own time or None). A row of a step and numbers becomes metrics, one with a text a log line, else `raw`.

    A time before the year 2000 or after now is none: it would be refused with all the rows around it, and stands in the text.
    """
    time_ns = parse_time(_first(row, TIME))
    if time_ns is not None and not in_time(time_ns, time_ns, time.time_ns()):
        time_ns = None
    event = Event()
    text = _first(row, TEXT)
    numbers = _numbers(row, time_ns) if text is None else {}
    if numbers:
        event.metrics.step = row[_named(row, STEP)]
        for name, number in numbers.items():
            event.metrics.metrics.add(name=_string(name), value=number)
        return event, time_ns
    log = event.log
    log.stream = STREAM_FILE
    level = _first(row, LEVEL)
    if isinstance(level, str):
        log.level = LEVELS.get(level.lower(), 0)
    elif isinstance(level, int) and not isinstance(level, bool) and 0 <= level <= 50:
        log.level = level
    rank = rank_of(row)
    if rank is not None:
        log.rank = rank
    told = {
        _named(row, TEXT),
        *([_named(row, TIME)] if time_ns is not None else ()),
        *([_named(row, LEVEL)] if log.level else ()),
        *([_named(row, JOB)] if job_of(row) else ()),
        *(["rank"] if log.HasField("rank") else ()),
    }
    log.text = encodable(text + beside(row, told)).encode("utf-8", "surrogateescape") if isinstance(text, str) else raw
    return event, time_ns


def _numbers(row: Mapping[str, Any], time_ns: int | None) -> dict[str, float]:
    """The metrics of a row of a step and numbers; none where it holds more that would be left out: such a row stays a text.

    time_ns: of the row, where a column was taken for it. Job, rank and step are told elsewhere as well; what says one of these
    once more, in other words, says nothing.
    """
    step = row.get(_named(row, STEP))
    if not isinstance(step, int) or isinstance(step, bool) or not -(2**63) <= step < 2**63:
        return {}
    told = {name for name in (*TIME, *JOB, *STEP, "rank") if row.get(name) is None} | {_named(row, STEP)}
    if rank_of(row) is not None:
        told.add("rank")
    if job_of(row):
        told |= {name for name in JOB if row.get(name) == _first(row, JOB)}
    if time_ns is not None:
        told |= {name for name in TIME if _same_second(row.get(name), time_ns)}
    rest = {name: value for name, value in row.items() if name not in told}
    if not all(_is_number(v) and (isinstance(v, float) or abs(v) < 2**1000) for v in rest.values()):
        return {}
    return {name: float(value) for name, value in rest.items()}


def _same_second(value: Any, time_ns: int) -> bool:
    found = parse_time(value)
    return found is not None and abs(found - time_ns) < 10**9


def rank_of(row: Mapping[str, Any]) -> int | None:
    """The rank that a row names, if it names one."""
    rank = row.get("rank")
    return rank if isinstance(rank, int) and not isinstance(rank, bool) and 0 <= rank < 1 << 31 else None


def beside(row: Mapping[str, Any], told: set[str]) -> str:
    """What a row says beside what is told already: ` name=value`, and what has several lines below, as it is."""
    short, long = [], []
    for name, value in row.items():
        if name in told or value is None or value == "":
            continue
        if isinstance(value, str) and "\n" in value:
            long.append(value.rstrip("\n"))
            continue
        plain = isinstance(value, str) and value.split() == [value]
        short.append(f" {name}={value if plain else json.dumps(value, ensure_ascii=False, default=str)}")
    return "".join(short) + "".join(f"\n{value}" for value in long)


def batch_of(row: Mapping[str, Any]) -> TelemetryBatch | None:
    """The batch that a row is, when it is one in protobuf's JSON form; else None."""
    from google.protobuf import json_format

    if "events" not in row or not ("jobId" in row or "job_id" in row):
        return None
    try:
        return json_format.ParseDict(dict(row), TelemetryBatch(), ignore_unknown_fields=False)
    except json_format.ParseError:
        return None


def parse_line(line: bytes) -> dict[str, Any] | None:
    """A JSON object, or None for anything else.

    Of one in which a name stands twice only what says when it was, whose it is and how grave: its text is the line as it came.
    """
    twice: list[str] = []

    def collected(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice.append("")
        return found

    try:
        row = json.loads(line, object_pairs_hook=collected)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    return {name: row[name] for name in (*TIME, *JOB, *LEVEL, "rank") if name in row} if twice else row

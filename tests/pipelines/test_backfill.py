"""Files through the graph: the same traces as by the broker, twice is once, and a broken run goes on."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.pipelines.feed import TOPIC, Broker, batch, new_process, stored
from tracewinnow.pipelines import backfill
from tracewinnow.pipelines.files import Task, find
from tracewinnow.pipelines.local_stream import LocalStream
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.rebuild import rebuild, windows
from tracewinnow.schemas.errors import BadUse
from tracewinnow.schemas.telemetry_pb2 import TelemetryBatch
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.archive import Archive
from tracewinnow.stores.objects import open_objects
from tracewinnow.stores.parquet_tables import connect

SECOND = 1_000_000_000
START = 1_760_000_000 * SECOND


def settings(folder: Path) -> Settings:
    return Settings(str(folder), window_ns=10 * SECOND)


def run(
    paths: list[Path], folder: Path, job: str | None = None, again: bool = False
) -> tuple[dict[str, int], list[str]]:
    """Backfill, and the counters of all runs."""
    where = settings(folder)
    done = backfill.done_before(open_objects(where.warehouse))
    tasks, refused = backfill.plan(find(str(p) for p in paths), job, done, again)
    total: dict[str, int] = {}

    def report(group: list[Task], counters: dict[str, int]) -> None:
        for name, count in counters.items():
            total[name] = total.get(name, 0) + count

    backfill.backfill(tasks, where, report)
    return total, refused


def texts(folder: Path, job: str) -> list[bytes]:
    """Every archived log line of a job, in the order of record time."""
    archive = Archive(open_objects(str(folder)))
    found = [b for w in archive.windows(job) for b in archive.read(job, w).batches]
    found.sort(key=lambda b: (b.created_ns, b.process_uuid, b.sequence))
    return [e.log.text for b in found for e in TelemetryBatch.FromString(b.data).events]


def files(folder: Path) -> dict[str, bytes]:
    """Everything below the results of a warehouse."""
    kept = [f for top in ("archive", "traces", "tables") for f in (folder / top).rglob("*") if f.is_file()]
    return {str(f.relative_to(folder)): f.read_bytes() for f in kept}


def some_batches() -> list[TelemetryBatch]:
    process = new_process()
    lines = [[f"step {b * 50 + i} loss {1 / (b * 50 + i + 1):.5f}" for i in range(50)] for b in range(30)]
    return [
        batch("job-a", process, b, lines[b], created_ns=START + b * SECOND, crash="boom" if b == 29 else "")
        for b in range(30)
    ]


def test_streaming_and_backfill_give_identical_traces(broker: Broker, tmp_path: Path) -> None:
    batches = some_batches()
    broker.send(*batches, batches[3])  # one of them twice
    stream = LocalStream(broker.bootstrap, [TOPIC], settings(tmp_path / "stream"))
    while stream.turn():
        pass
    stream.flush()
    stream.close()
    rows = tmp_path / "batches.jsonl"
    from google.protobuf.json_format import MessageToJson

    rows.write_text("".join(MessageToJson(b, indent=None) + "\n" for b in batches))
    for _ in range(2):
        run([rows], tmp_path / "files", again=True)
    assert stored(tmp_path / "stream") == stored(tmp_path / "files")
    assert len(stored(tmp_path / "files")) == 3
    keys = list(windows(settings(tmp_path / "files"), None))
    before = files(tmp_path / "files")
    rebuild(keys, settings(tmp_path / "files"), lambda count, counters: None)
    assert files(tmp_path / "files") == before
    with connect(tmp_path / "files") as tables:
        assert tables.execute("select count(*) from traces").fetchone() == (3,)
        assert tables.execute("select count(*) from jobs where outcome = 'crashed'").fetchone() == (1,)


@pytest.mark.parametrize("form", ["plain", "gz", "zst", "xz", "bz2"])
def test_plain_log_is_archived_line_by_line(form: str, tmp_path: Path) -> None:
    content = b"first\r\nsecond \xff\xfe broken\n\n" + b"x" * 300_000 + b"\nlast without end"
    pack: dict[str, Any] = {"plain": bytes, "gz": gzip.compress, "zst": zstandard.compress}
    pack |= {"xz": lzma.compress, "bz2": bz2.compress}
    log = tmp_path / f"train.log.{form}"
    log.write_bytes(pack[form](content))
    counters, refused = run([log], tmp_path / "w", job="j")
    assert (counters["traces"], refused) == (1, [])
    lines = texts(tmp_path / "w", "j")
    assert lines[:3] == [b"first", b"second \xff\xfe broken", b""]
    assert b"".join(lines[3:-1]) == b"x" * 300_000
    assert lines[-1] == b"last without end"
    assert run([log], tmp_path / "w", job="j")[0] == {}


def test_utf16_becomes_utf8(tmp_path: Path) -> None:
    log = tmp_path / "windows.log"
    log.write_bytes("one\r\ntwö\r\n".encode("utf-16"))
    run([log], tmp_path / "w")
    assert texts(tmp_path / "w", "windows") == [b"one", "twö".encode()]


def test_a_file_that_has_grown_goes_on_at_its_old_end(tmp_path: Path) -> None:
    log = tmp_path / "grows.log"
    log.write_text("2026-01-02 03:04:05 a\nb\n")
    run([log], tmp_path / "w")
    with log.open("a") as file:
        file.write("c\nd\n")
    run([log], tmp_path / "w")
    assert texts(tmp_path / "w", "grows") == [b"2026-01-02 03:04:05 a", b"b", b"c", b"d"]


@pytest.mark.parametrize("before", ["a first line\n", "", "x" * 9000 + "\n"])
def test_a_line_that_was_half_written_is_read_again_whole(before: str, tmp_path: Path) -> None:
    log = tmp_path / "grows.log"
    log.write_text(before + "RuntimeErr")
    run([log], tmp_path / "w")
    assert run([log], tmp_path / "w")[0] == {}  # as long as it stays so
    with log.open("a") as file:
        file.write("or: the cause\nlast\n")
    run([log], tmp_path / "w")
    wanted = [*before.encode().splitlines(), b"RuntimeErr", b"RuntimeError: the cause", b"last"]
    assert sorted(texts(tmp_path / "w", "grows")) == sorted(wanted)


@pytest.mark.parametrize("count", [20, 2500])
def test_rows_of_a_file_that_has_grown_stand_once(count: int, tmp_path: Path) -> None:
    def rows(first: int, last: int) -> str:
        return "".join(
            json.dumps({"time": 1767323046 + i / 1000, "msg": f"row {i}"}) + "\n" for i in range(first, last)
        )

    log = tmp_path / "rows.jsonl"
    log.write_text(rows(0, count))
    run([log], tmp_path / "w")
    with log.open("a") as file:
        file.write(rows(count, count + 400))
    run([log], tmp_path / "w")
    assert sorted(texts(tmp_path / "w", "rows")) == sorted(b"row %d" % i for i in range(count + 400))


def test_a_packed_file_that_has_changed_is_read_whole_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "packed.log.gz"
    wanted = [hashlib.sha256(b"%d" % i).hexdigest().encode() for i in range(600)]  # packs badly: more than a head
    log.write_bytes(gzip.compress(b"\n".join(wanted) + b"\n", mtime=0))
    run([log], tmp_path / "w")
    with log.open("ab") as file:
        file.write(gzip.compress(b"the cause\n", mtime=0))
    run([log], tmp_path / "w")
    found = texts(tmp_path / "w", "packed")
    assert set(found) == {*wanted, b"the cause"}
    assert "read whole again" in caplog.text


def test_cut_files_lose_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracewinnow.pipelines.files.RANGE_BYTES", 1000)
    wanted = [b"line %d %s" % (n, b"." * (n % 97)) for n in range(500)]
    wanted[77] = b"long " * 700
    log = tmp_path / "cut.log"
    log.write_bytes(b"\n".join(wanted) + b"\n")
    run([log], tmp_path / "w")
    assert texts(tmp_path / "w", "cut") == wanted


def test_json_lines_and_parquet(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"ts": "2026-01-02T03:04:05Z", "level": "error", "message": "it broke", "rank": 3, "job_id": "other"},
        {"time": 1767323046.5, "msg": "later"},
        {"step": 7, "loss": 0.5, "ts": 1767323047000},
        {"no": "text", "x": 1},
    ]
    log = tmp_path / "rows.jsonl"
    log.write_text("\n".join(json.dumps(row) for row in rows) + "\nnot json at all\n")
    counters, _ = run([log], tmp_path / "w")
    assert counters["events"] == 5
    assert texts(tmp_path / "w", "other") == [b"it broke"]
    assert {b"later", b"not json at all", json.dumps(rows[3]).encode()} <= set(texts(tmp_path / "w", "rows"))
    table = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([{"message": f"m{i}", "timestamp": 1767323046 + i} for i in range(3)]), table)
    run([table], tmp_path / "p", job="p")
    assert texts(tmp_path / "p", "p") == [b"m0", b"m1", b"m2"]


def test_a_damaged_file_gives_what_is_whole_and_a_dead_letter(tmp_path: Path) -> None:
    log = tmp_path / "torn.log.gz"
    log.write_bytes(gzip.compress(b"\n".join(b"line %d" % n for n in range(100_000)), mtime=0)[:-2000])
    counters, _ = run([log], tmp_path / "w", job="j")
    assert counters["dead_letters"] == 1
    assert texts(tmp_path / "w", "j")[:2] == [b"line 0", b"line 1"]
    with connect(tmp_path / "w") as tables:
        code, reason = tables.execute("select code, reason from dead_letters").fetchone()
    assert code == "damaged-file"
    assert "torn.log.gz" in reason


def test_a_broken_run_goes_on_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "RUN_BYTES", 1)  # a run for each file
    logs = []
    for n in range(3):
        logs.append(tmp_path / f"log{n}.log")
        logs[-1].write_text("".join(f"2026-01-02 00:00:00 job {n} line {i}\n" for i in range(50)))
    real = backfill.run_here
    calls = []

    def breaks(construct: Any) -> dict[str, int]:
        calls.append(1)
        counters = real(construct)
        if len(calls) == 2:
            raise OSError("the disk is gone")  # after the results, before the tick
        return counters

    monkeypatch.setattr(backfill, "run_here", breaks)
    with pytest.raises(OSError, match="disk is gone"):
        run(logs, tmp_path / "broken")
    run(logs, tmp_path / "broken")
    assert len(calls) == 4  # the first is not repeated
    monkeypatch.setattr(backfill, "run_here", real)
    run(logs, tmp_path / "peace")
    assert files(tmp_path / "broken") == files(tmp_path / "peace")


def test_empty_and_missing_files(tmp_path: Path) -> None:
    empty = tmp_path / "empty.log"
    empty.touch()
    assert run([empty], tmp_path / "w") == ({}, [])
    with pytest.raises(BadUse, match="no file or folder"):
        find([str(tmp_path / "nothing")])


def test_job_names_choose_no_path(tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    log.write_text(json.dumps({"job_id": "../../../escaped", "message": "x", "ts": 1767323046}) + "\n")
    run([log], tmp_path / "w")
    assert texts(tmp_path / "w", "../../../escaped") == [b"x"]
    assert {p.name for p in tmp_path.iterdir()} == {"a.jsonl", "w"}
    trace = PreprocessedTrace.FromString(next(iter(stored(tmp_path / "w").values())))
    assert trace.job_id == "../../../escaped"

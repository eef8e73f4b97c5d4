"""Files through the graph: the same traces as by the broker, twice is once, and a broken run goes on."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.pipelines.feed import TOPIC, Broker, batch, new_process, stored
from tracewinnow.logger import outbox
from tracewinnow.pipelines import backfill
from tracewinnow.pipelines.files import Task, find, outside
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


def test_again_and_a_broken_run_double_nothing_of_a_file_that_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "grows.log"
    log.write_text("".join(f"step {i}\n" for i in range(10)))
    real = backfill.run_here

    def killed(*arguments: Any) -> dict[str, int]:
        real(*arguments)
        raise KeyboardInterrupt  # after the results, before the tick

    for count, again in ((15, False), (20, True), (20, True)):
        monkeypatch.setattr(backfill, "run_here", killed)
        with pytest.raises(KeyboardInterrupt):
            run([log], tmp_path / "w", again=again)
        monkeypatch.setattr(backfill, "run_here", real)
        log.write_text("".join(f"step {i}\n" for i in range(count)))
        assert run([log], tmp_path / "w", again=again)[0].get("dead_letters", 0) == 0
        assert texts(tmp_path / "w", "grows") == [b"step %d" % i for i in range(count)]
    assert letters(tmp_path / "w") == []


def test_the_evidence_of_another_run_with_the_same_banner_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    banner = "".join(f"banner {i:04}\n" for i in range(500))
    log.write_text(banner + "".join(f"step {i}\n" for i in range(50)))
    run([log], tmp_path / "w")
    for rest in ("RuntimeError: CUDA out of memory\n" + "cleaning up\n" * 100, "OSError: disk is gone\n"):
        log.write_text(banner + rest)
        run([log], tmp_path / "w")
        assert rest.split("\n")[0].encode() in texts(tmp_path / "w", "run")


def test_rows_without_a_time_stay_behind_the_row_before_them_when_the_file_has_grown(tmp_path: Path) -> None:
    first = "".join(f'{{"time": "2026-01-02T10:{i:02}:00Z", "msg": "step {i}"}}\n' for i in range(10))
    rest = 'Traceback (most recent call last):\nRuntimeError: out of memory\n{"time": "2026-01-02T10:11:00Z", "msg": "x"}\n'
    log = tmp_path / "rows.jsonl"
    log.write_text(first)
    run([log], tmp_path / "w")
    log.write_text(first + rest)
    run([log], tmp_path / "w")
    found = texts(tmp_path / "w", "rows")
    assert found[9:12] == [b"step 9", b"Traceback (most recent call last):", b"RuntimeError: out of memory"]


def test_ranks_of_one_file_are_series_of_their_own(tmp_path: Path) -> None:
    log = tmp_path / "rows.jsonl"
    rows = [{"step": s, "loss": s + r, "rank": r, "time": 1767323040 + s} for s in range(5) for r in range(4)]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run([log], tmp_path / "w", job="j")[0]["events"] == 20
    archive = Archive(open_objects(str(tmp_path / "w")))
    (window,) = archive.windows("j")
    batches = [TelemetryBatch.FromString(b.data) for b in archive.read("j", window).batches]
    told = {b.rank: [e.metrics.metrics[0].value for e in b.events] for b in batches}
    assert told == {r: [s + r for s in range(5)] for r in range(4)}
    assert all(len(e.metrics.metrics) == 1 for b in batches for e in b.events)


@pytest.mark.parametrize("when", ["ahead", "1970"])
def test_a_log_whose_time_would_be_refused_is_taken(when: str, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    ahead = datetime.now(timezone.utc) + timedelta(hours=9)
    log.write_text(f"{ahead:%Y-%m-%d %H:%M:%S} RuntimeError: boom\n" if when == "ahead" else "RuntimeError: boom\n")
    if when == "1970":
        os.utime(log, (0, 0))
    counters, _ = run([log], tmp_path / "w")
    assert (counters["events"], counters.get("dead_letters", 0)) == (1, 0)
    assert texts(tmp_path / "w", "a")[0].endswith(b"RuntimeError: boom")


def test_a_name_that_is_not_utf8_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "good.log").write_text("good\n")
    (folder / os.fsdecode(b"bad\xff.log")).write_text("bad\n")
    (folder / os.fsdecode(b"torn\xfe.log.gz")).write_bytes(gzip.compress(b"torn\n" * 9)[:-5])
    assert run([folder], tmp_path / "w")[0]["events"] == 11
    assert texts(tmp_path / "w", "good") == [b"good"]
    assert texts(tmp_path / "w", "bad\\xff") == [b"bad"]
    ((_, reason),) = letters(tmp_path / "w")
    assert reason.startswith(f"{folder}/torn\\xfe.log.gz is damaged near byte ")
    assert caplog.messages == [reason]
    assert run([folder], tmp_path / "w")[0] == {}


def test_a_file_that_goes_before_it_is_read_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logs = [tmp_path / f"{name}.log" for name in ("gone", "here")]
    for log in logs:
        log.write_text("a line\n")
    tasks, _ = backfill.plan(logs, None, {}, False)
    logs[0].rename(tmp_path / "gone.log.1")
    backfill.backfill(tasks, settings(tmp_path / "w"), lambda group, counters: None)
    assert texts(tmp_path / "w", "here") == [b"a line"]
    assert len(caplog.messages) == 1
    assert f"{logs[0]} cannot be read: No such file or directory" in caplog.messages[0]
    assert [reason for _, reason in letters(tmp_path / "w")] == caplog.messages
    (tmp_path / "gone.log.1").rename(logs[0])
    run(logs, tmp_path / "w")
    assert texts(tmp_path / "w", "gone") == [b"a line"]


def test_what_could_not_be_read_is_read_by_the_next_run_though_the_rest_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, aside = tmp_path / "large.log", tmp_path / "aside"
    log.write_text("".join(f"step {i:03}\n" for i in range(60)))
    monkeypatch.setattr("tracewinnow.pipelines.files.RANGE_BYTES", 200)
    monkeypatch.setattr(backfill, "RUN_BYTES", 1)  # a run for each range
    real, runs = backfill.run_here, []

    def away_at_first(*arguments: Any) -> dict[str, int]:
        runs.append(log.rename(aside) if not runs else None)
        try:
            return real(*arguments)
        finally:
            if aside.exists():
                aside.rename(log)

    tasks, _ = backfill.plan([log], None, {}, False)
    assert len(tasks) == 3
    monkeypatch.setattr(backfill, "run_here", away_at_first)
    backfill.backfill(tasks, settings(tmp_path / "w"), lambda group, counters: None)
    monkeypatch.setattr(backfill, "run_here", real)
    run([log], tmp_path / "w")
    assert texts(tmp_path / "w", "large") == [b"step %03d" % i for i in range(60)]


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


PACK: dict[str, Any] = {"gz": gzip.compress, "zst": zstandard.compress, "xz": lzma.compress, "bz2": bz2.compress}


def letters(folder: Path) -> list[tuple[str, str]]:
    """(code, reason) of each dead letter."""
    with connect(folder) as tables:
        found: list[tuple[str, str]] = tables.execute(
            "select code, reason from dead_letters order by reason"
        ).fetchall()
    return found


@pytest.mark.parametrize("form", PACK)
def test_a_damaged_file_gives_what_is_whole_and_a_dead_letter(
    form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = [hashlib.sha256(b"%d" % n).hexdigest().encode() for n in range(30_000)]
    log = tmp_path / f"torn.log.{form}"
    data = PACK[form](b"\n".join(wanted) + b"\n")
    log.write_bytes(data[:-5])
    counters, _ = run([log], tmp_path / "w", job="j")
    assert counters["dead_letters"] == 1
    found = texts(tmp_path / "w", "j")
    assert found == wanted[: len(found)]
    assert len(found) > len(wanted) / 3  # all blocks that are whole; those of bzip2 have 900 kB
    ((code, reason),) = letters(tmp_path / "w")
    assert code == "damaged-file"
    assert reason.startswith(f"{log} is damaged near byte ")
    assert caplog.messages == [reason]


@pytest.mark.parametrize("form", ["gz", "zst"])
@pytest.mark.parametrize("count", [60, 700])  # of which the beginning is all that is there, and more
def test_a_small_damaged_file_is_read_as_far_as_it_goes(count: int, form: str, tmp_path: Path) -> None:
    wanted = [hashlib.sha256(b"%d" % n).hexdigest().encode() for n in range(count)]
    log = tmp_path / f"torn.log.{form}"
    packer: Any = zlib.compressobj(wbits=31) if form == "gz" else zstandard.ZstdCompressor().compressobj()
    whole = packer.compress(b"\n".join(wanted) + b"\n")
    whole += packer.flush(zlib.Z_SYNC_FLUSH if form == "gz" else zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    log.write_bytes(whole)  # the writer was killed
    assert run([log], tmp_path / "w", job="j")[0]["dead_letters"] == 1
    assert texts(tmp_path / "w", "j") == wanted


def parquet(path: Path) -> bytes:
    """A file of Parquet with 3000 rows; its bytes."""
    rows = [{"message": f"m{i}", "timestamp": 1767323046 + i} for i in range(3000)]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path.read_bytes()


def test_damaged_parquet_ends_no_run(tmp_path: Path) -> None:
    whole = parquet(tmp_path / "rows.parquet")
    (tmp_path / "a.log").write_text("hello\n")
    places = (None, *range(5, len(whole), len(whole) // 12))
    for place in places:  # a byte that is another one, in data and in what tells of them; None: the half
        torn = bytearray(whole[: len(whole) // 2] if place is None else whole)
        if place is not None:
            torn[place] ^= 0xFF
        (tmp_path / f"{place}.parquet").write_bytes(torn)
    logs = [tmp_path / f"{place}.parquet" for place in places]
    counters, _ = run([*logs, tmp_path / "a.log"], tmp_path / "w", job="j")
    assert b"hello" in texts(tmp_path / "w", "j")
    found = letters(tmp_path / "w")
    assert counters["dead_letters"] == len(found) > 3
    assert any("None.parquet cannot be read as Parquet" in reason for _, reason in found)


def test_an_outbox_that_is_being_written_and_one_that_is_damaged(tmp_path: Path) -> None:
    box = outbox.Outbox(tmp_path, new_process())
    box.append(0, START, b"{}", b"")
    (path,) = tmp_path.glob("*.outbox")
    begun = path.read_bytes()
    process = new_process()
    made = [batch("job-o", process, b, ["one", "two"], created_ns=START + b * SECOND) for b in range(3)]
    path.unlink()
    box = outbox.Outbox(tmp_path, process)
    for one in made:
        box.append(one.sequence, one.created_ns, b"{}", one.SerializeToString())
    box.close()
    (path,) = tmp_path.glob("*.outbox")
    data = path.read_bytes()
    places = {"growing": data[:-3], "empty": data[:8], "nothing": data[:60], "first": begun[:-1]}
    places["wrong"] = data[:-60] + bytes([data[-60] ^ 0xFF]) + data[-59:]
    said = {}
    for name, content in places.items():
        path.write_bytes(content)
        counters, refused = run([path], tmp_path / name)
        assert refused == []
        said[name] = [counters.get(what, 0) for what in ("batches", "dead_letters")]
    assert said == {"growing": [2, 0], "empty": [0, 0], "nothing": [0, 1], "first": [0, 1], "wrong": [2, 1]}
    assert "without one whole record" in letters(tmp_path / "nothing")[0][1]
    assert "the record at byte" in letters(tmp_path / "wrong")[0][1]


def test_what_the_warehouse_holds_is_no_log(tmp_path: Path) -> None:
    warehouse = tmp_path / "logs" / "w"
    log = tmp_path / "logs" / "a.log"
    warehouse.mkdir(parents=True)
    log.write_text("hello\n")
    (warehouse / "trace").write_text("x\n")
    (tmp_path / "link").symlink_to(warehouse)
    (tmp_path / "logs" / "w2").mkdir()
    (tmp_path / "logs" / "w2" / "b.log").write_text("a name that only begins as the warehouse does\n")
    others = [log, tmp_path / "logs" / "w2" / "b.log"]
    for uri in (str(warehouse), f"file://{warehouse}", f"{warehouse}/", str(tmp_path / "link")):
        given = [str(tmp_path / "logs")]
        assert outside(find(given), given, uri) == others
        for wrong in (warehouse, warehouse / "trace", tmp_path / "link"):
            with pytest.raises(BadUse, match="the warehouse"):
                outside(find([str(wrong)]), [str(wrong)], uri)
    for uri in ("gs://bucket/w", str(tmp_path / "nowhere")):
        assert outside(find(given), given, uri) == find(given)


def test_a_broken_run_goes_on_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "RUN_BYTES", 1)  # a run for each file
    logs = []
    for n in range(3):
        logs.append(tmp_path / f"log{n}.log")
        logs[-1].write_text("".join(f"2026-01-02 00:00:00 job {n} line {i}\n" for i in range(50)))
    real = backfill.run_here
    calls = []

    def breaks(*arguments: Any) -> dict[str, int]:
        calls.append(1)
        counters = real(*arguments)
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

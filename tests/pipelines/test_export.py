"""The export: every kept segment with its weight, once, and the same bytes again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.pipelines.feed import stored
from tracewinnow.pipelines import export as module
from tracewinnow.pipelines.export import ReadTraceFn, export, newest
from tracewinnow.pipelines.single import only_one
from tracewinnow.schemas.errors import BadUse, Transient
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.stores.errors import CorruptObject, StoreError
from tracewinnow.stores.objects import open_objects

DAY = 1_767_312_000 * 1_000_000_000  # 2026-01-02


def put(folder: Path, job: str, window: int, revision: int, keep: float, outcome: str = "") -> None:
    trace = PreprocessedTrace(
        trace_id=f"{job}/{window}/0", job_id=job, window_start_ns=DAY + window, revision=revision, lines_before=10
    )
    trace.segments.add().CopyFrom(
        Segment(first=5, last=5, label="noise", keep_probability=keep, text=f"text {revision}")
    )
    trace.job.outcome = outcome
    name = f"traces/dt=2026-01-02/{job}-{DAY + window:020d}-r{revision:08d}-p0000.binpb"
    open_objects(str(folder)).put(name, trace.SerializeToString(deterministic=True))


def test_export(tmp_path: Path) -> None:
    put(tmp_path, "a", 0, 1, 1.0)
    put(tmp_path, "a", 0, 12, 0.25)  # of one window the highest revision counts
    put(tmp_path, "a", 60, 1, 0.5, "crashed")
    put(tmp_path, "b", 0, 1, 1.0, "stopped")
    manifest = export(str(tmp_path), "2026-01-02")
    folder = tmp_path / "export/dt=2026-01-02"
    files = {f.name: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    rows = [row for name in files if name.endswith(".parquet") for row in pq.read_table(folder / name).to_pylist()]
    assert sorted((r["job_id"], r["weight"], r["outcome"], r["place"]) for r in rows) == [
        ("a", 2.0, "crashed", 0.5),
        ("a", 4.0, "crashed", 0.5),
        ("b", 1.0, "stopped", 0.5),
    ]
    assert (manifest["rows"], manifest["labels"], manifest["traces"]) == (3, {"noise": 3}, 3)
    assert json.loads(files["manifest.json"]) == manifest
    for shard in manifest["shards"]:
        assert hashlib.sha256(files[shard["name"]]).hexdigest() == shard["sha256"]
    export(str(tmp_path), "2026-01-02")
    assert {f.name: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == files
    assert len(stored(tmp_path)) == 3


def test_a_day_without_traces_is_said(tmp_path: Path) -> None:
    put(tmp_path, "a", 0, 1, 1.0)
    with pytest.raises(BadUse, match="the days it has: 2026-01-02"):
        export(str(tmp_path), "2026-01-03")


def test_newest_keeps_all_parts_of_the_highest_revision() -> None:
    names = ["j-1-r00000001-p0000.binpb", "j-1-r00000002-p0000.binpb", "j-1-r00000002-p0001.binpb", "noise.txt"]
    assert newest(names) == names[1:3]


@pytest.mark.parametrize("data", [b"", b"\xff" * 40], ids=["empty", "no message"])
def test_a_damaged_trace_is_named(tmp_path: Path, data: bytes) -> None:
    put(tmp_path, "a", 0, 1, 1.0)
    put(tmp_path, "b", 0, 1, 1.0)
    [file] = tmp_path.glob("traces/*/b-*")
    file.write_bytes(data)
    with pytest.raises(CorruptObject, match=rf"{file.name} is damaged: .*`tracewinnow rebuild --job b --warehouse"):
        export(str(tmp_path), "2026-01-02")


def files_of(folder: Path) -> dict[str, bytes]:
    """By path; folders are no part of an export."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_export_that_fails_leaves_the_former_one(tmp_path: Path) -> None:
    for job in "abcdef":
        put(tmp_path, job, 0, 1, 1.0)
    export(str(tmp_path), "2026-01-02")
    former = files_of(tmp_path / "export")
    for job in "abcde":
        put(tmp_path, job, 0, 2, 0.5)
    [file] = tmp_path.glob("traces/*/f-*")
    whole = file.read_bytes()
    file.write_bytes(b"")
    with pytest.raises(CorruptObject):
        export(str(tmp_path), "2026-01-02")
    assert files_of(tmp_path / "export") == former
    file.write_bytes(whole)
    manifest = export(str(tmp_path), "2026-01-02")
    names = {f"dt=2026-01-02/{shard['name']}" for shard in manifest["shards"]}
    assert files_of(tmp_path / "export").keys() == names | {"dt=2026-01-02/manifest.json"}
    assert not names <= former.keys()


def test_a_manifest_that_cannot_be_written_leaves_the_former_export(tmp_path: Path) -> None:
    """As on a disk that is full by then: everything up to the manifest was written."""
    put(tmp_path, "a", 0, 1, 1.0)
    export(str(tmp_path), "2026-01-02")
    former = files_of(tmp_path / "export")
    put(tmp_path, "a", 0, 2, 0.5)
    folder = tmp_path / "export/dt=2026-01-02"
    (folder / "manifest.json").rename(tmp_path / "aside")
    (folder / "manifest.json").mkdir()  # nothing can take its place
    (folder / "manifest.json/x").touch()
    with pytest.raises(StoreError):
        export(str(tmp_path), "2026-01-02")
    (folder / "manifest.json/x").unlink()
    (folder / "manifest.json").rmdir()
    (tmp_path / "aside").rename(folder / "manifest.json")
    assert files_of(tmp_path / "export") == former


def test_what_a_killed_export_left_is_removed_by_the_next(tmp_path: Path) -> None:
    put(tmp_path, "a", 0, 1, 1.0)
    store = open_objects(str(tmp_path))
    for name in ("shard-00-0123456789abcdef.parquet", "shard-00.parquet"):
        store.put(f"export/dt=2026-01-02/{name}", b"half")
    manifest = export(str(tmp_path), "2026-01-02")
    [shard] = manifest["shards"]
    assert {f"dt=2026-01-02/{shard['name']}", "dt=2026-01-02/manifest.json"} == files_of(tmp_path / "export").keys()


def test_what_no_column_needs_is_not_held(tmp_path: Path) -> None:
    put(tmp_path, "a", 0, 1, 1.0)
    [file] = tmp_path.glob("traces/*/*")
    trace = PreprocessedTrace.FromString(file.read_bytes())
    before = export(str(tmp_path), "2026-01-02")
    trace.container, trace.text = b"x" * (1 << 20), "y" * (1 << 20)
    trace.line_classes.add(first=1, last=10)
    file.write_bytes(trace.SerializeToString(deterministic=True))
    assert export(str(tmp_path), "2026-01-02") == before
    read = ReadTraceFn(str(tmp_path))
    read.setup()
    [(_, data)] = read.process(str(file.relative_to(tmp_path)))
    assert len(data) < 1000


def test_one_export_at_a_time(tmp_path: Path) -> None:
    put(tmp_path, "a", 0, 1, 1.0)
    with only_one(str(tmp_path), "export"), pytest.raises(BadUse, match="already runs `tracewinnow export`"):
        export(str(tmp_path), "2026-01-02")


@pytest.mark.parametrize("gone", ["parts/*/*", "shard-*"])
def test_an_export_whose_files_went_away_has_no_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """As by another one beside it, in a bucket."""
    put(tmp_path, "a", 0, 1, 1.0)
    run = module.run_here

    def lose(construct: Any) -> Any:
        counters = run(construct)
        for path in tmp_path.glob(f"export/dt=2026-01-02/{gone}"):
            path.unlink()
        return counters

    monkeypatch.setattr(module, "run_here", lose)
    with pytest.raises(Transient, match="Start it again"):
        export(str(tmp_path), "2026-01-02")
    assert not [*tmp_path.rglob("manifest.json")]

"""What is archived and not built, or was refused, is told in every answer, with what to do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict

from tests.cli.conftest import Cli
from tests.serving.conftest import SECOND, START, WINDOW, Writer, batch
from tracewinnow.pipelines.building import given_up
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.rebuild import BuildHere, windows
from tracewinnow.schemas.tables import date_of, dead_letter_row
from tracewinnow.schemas.telemetry_pb2 import TelemetryBatch
from tracewinnow.stores.archive import Archive, ArchivedBatch
from tracewinnow.stores.parquet_tables import ParquetTables
from tracewinnow.transforms import dofns
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.trace import Trace
from tracewinnow.transforms.work import Work

WHERE = ("--warehouse", "warehouse")
REBUILD = "`tracewinnow rebuild --job a --warehouse warehouse`"
DENOISE = dofns.denoise_stage


def crash(rank: int, sequence: int, window: int = 0) -> TelemetryBatch:
    made = batch("a", rank, sequence, ["RuntimeError: CUDA out of memory"], window=window)
    made.events.add(time_ns=made.created_ns + SECOND).crash.message = "RuntimeError: CUDA out of memory"
    return made


def archive(writer: Writer, *batches: TelemetryBatch, window: int = 0) -> Path:
    """The object of them."""
    content = [ArchivedBatch(b.process_uuid, b.sequence, b.created_ns, b.SerializeToString()) for b in batches]
    return writer.folder / Archive(writer.store).write(batches[0].job_id, START + window * WINDOW, content)


def build(writer: Writer, part_bytes: int = 1 << 26) -> None:
    settings = Settings(str(writer.folder), part_bytes=part_bytes)
    BuildHere(settings).build(list(windows(settings, None)))


def damage(file: Path, at: int = -5) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def breaks_on_cuda(trace: Trace, options: Options) -> Work:
    """A stage with a bug."""
    if any("CUDA" in line for line in trace.lines):
        raise RuntimeError("a bug in a stage")
    return DENOISE(trace, options)


def test_a_crash_outlives_its_damaged_archive(cli: Cli, writer: Writer) -> None:
    archive(writer, batch("a", 0, 0, ["step 1"]))
    file = archive(writer, crash(0, 1))
    build(writer)
    damage(file)
    build(writer)
    said = cli("show", "a", *WHERE)  # what was built knows all that there is
    assert said.code == 0
    assert "missing" not in said.out
    archive(writer, batch("a", 1, 0, ["late line"]))
    build(writer)
    said = cli("show", "a", *WHERE)
    assert said.code == 1
    assert "job a crashed: RuntimeError: CUDA out of memory" in said.out
    assert "missing: window 2026-01-01T00:00:00Z lacks 1 batch that is archived" in said.out
    assert f"{file.name} is damaged: a checksum is wrong; put back a copy, then {REBUILD}" in said.err
    damage(file)
    assert cli("rebuild", *WHERE).code == 0
    assert cli("show", "a", *WHERE).code == 0


@pytest.mark.parametrize("at", [0, -5], ids=["head", "block"])
def test_what_was_damaged_before_it_was_built_is_a_hole(cli: Cli, writer: Writer, at: int) -> None:
    archive(writer, batch("a", 0, 0, ["step 1"]))
    file = archive(writer, crash(0, 1))
    damage(file, at)
    build(writer)
    said = cli("show", "a", *WHERE)
    assert said.code == 1
    assert "missing: window 2026-01-01T00:00:00Z " in said.out
    assert f"{file.name} is damaged" in said.err
    assert "put back a copy" in said.err


def test_a_part_that_is_missing_is_a_hole(cli: Cli, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(writer, *(batch("a", 0, number, [f"{number} " * 40] * 500) for number in range(2)), crash(0, 2))
    monkeypatch.setattr(dofns, "denoise_stage", breaks_on_cuda)
    build(writer, 1 << 16)
    said = cli("show", "a", *WHERE)
    assert said.code == 1
    assert "missing: window 2026-01-01T00:00:00Z, part 1, is archived but not built" in said.out
    assert f"RuntimeError: a bug in a stage; after an upgrade, {REBUILD} builds it" in said.err
    [job] = json.loads(cli("jobs", *WHERE, "--json").out)
    assert [(lack["start_ns"], lack["part"]) for lack in job["lacks"]] == [(START, 1)]
    said = cli("jobs", *WHERE)
    assert "[not all is built]" in said.out
    assert "a: window 2026-01-01T00:00:00Z, part 1, is archived but not built" in said.err


def test_a_window_that_a_stage_could_not_build_is_a_hole(
    cli: Cli, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(writer, batch("a", 0, 0, ["step 1"]))
    archive(writer, crash(0, 1, window=1), window=1)
    archive(writer, batch("a", 0, 2, ["step 3"], window=2), window=2)
    monkeypatch.setattr(dofns, "denoise_stage", breaks_on_cuda)
    build(writer)
    said = cli("show", "a", *WHERE, "--html", "page.html", "--json")
    assert said.code == 1
    assert json.loads(said.out)["holes"] == [
        "window 2026-01-01T00:01:00Z is archived but not built",
        "batch 1 of rank 0 (00000000) is archived but not in what was built",
    ]
    assert "window 2026-01-01T00:01:00Z is archived but not built" in Path("page.html").read_text()
    assert f"a bug in a stage; after an upgrade, {REBUILD} builds it" in said.err


def test_a_window_that_was_given_up_after_it_was_built_lacks_what_came_since(cli: Cli, writer: Writer) -> None:
    archive(writer, batch("a", 0, 0, ["step 1"]))
    build(writer)
    archive(writer, crash(0, 1))
    letter = given_up(("a", START), "ZeroDivisionError: a bug")
    ParquetTables(writer.store).write("dead_letters", date_of(START), "letter", [dead_letter_row(letter)])
    said = cli("show", "a", *WHERE)
    assert said.code == 1
    assert "missing: window 2026-01-01T00:00:00Z lacks 1 batch that is archived" in said.out
    assert "ZeroDivisionError: a bug" in said.err


def test_a_job_of_which_nothing_is_built(cli: Cli, writer: Writer) -> None:
    writer.window([batch("b", 0, 0, ["x"])])
    archive(writer, batch("a", 0, 0, ["step 1"]))
    for verb in ("show", "series"):
        said = cli(verb, "a", *WHERE)
        assert (said.code, said.out) == (1, "")
        assert f"Job a is archived, and nothing of it is built: {REBUILD}" in said.err
    assert cli("lines", "a", "1", *WHERE) == (0, "step 1\n", "")
    assert f"nothing of it built: 1 job (a). {REBUILD}" in cli("jobs", *WHERE).err


def test_a_warehouse_without_tables(cli: Cli, writer: Writer) -> None:
    archive(writer, batch("a", 0, 0, ["step 1"]))
    said = cli("jobs", *WHERE)
    assert (said.code, said.out) == (0, "")
    assert f"nothing of it built: 1 job (a). {REBUILD}" in said.err
    assert "no jobs yet" not in said.err
    assert cli("rebuild", *WHERE).code == 0
    assert cli("jobs", *WHERE).err == ""


def test_a_window_that_is_not_over_is_no_hole(cli: Cli, writer: Writer) -> None:
    writer.window([batch("a", 0, 0, ["step 1"])])
    now = (time.time_ns() - START) // WINDOW
    archive(writer, batch("a", 0, 1, ["step 2"], window=now), window=now)
    said = cli("show", "a", *WHERE)
    assert said.code == 0
    assert "missing" not in said.out


def test_a_window_whose_objects_were_removed_is_no_hole(cli: Cli, writer: Writer) -> None:
    writer.window([batch("a", 0, 0, ["step 1"])])
    archive(writer, batch("a", 0, 1, ["step 2"], window=1), window=1).unlink()
    assert cli("show", "a", *WHERE).code == 0


def test_a_batch_that_was_refused_did_come(cli: Cli, writer: Writer) -> None:
    batches = [batch("a", 0, number, ["x"]) for number in range(5)]
    batches[1].events[0].time_ns = 5 * 10**18  # a wrong clock
    rows = [json.dumps(MessageToDict(made)) for made in batches if made.sequence != 3]
    Path("a.jsonl").write_text("\n".join(rows) + "\n")
    assert cli("backfill", "a.jsonl", *WHERE).code == 0
    said = cli("show", "a", *WHERE)
    assert said.code == 0
    assert "missing: 2 holes, first batch 1 of rank 0 (00000000) was refused as time-in-the-future" in said.out
    assert "missing: batch 3 of rank 0 (00000000) never came" in said.out
    said = cli("jobs", *WHERE)
    assert "never came" not in said.err
    assert "`tracewinnow show JOB` says whether they came at all." in said.err


def test_what_was_refused_and_names_nobody_may_be_what_is_missing(cli: Cli, writer: Writer) -> None:
    from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
    from tracewinnow.schemas.tables import date_of, dead_letter_row

    writer.window([batch("a", 0, 0, ["x"]), batch("a", 0, 2, ["x"])])
    letter = DeadLetter(original=b"?", stage="Decode", code="not-a-batch", topic="telemetry.gpu.v1", time_ns=START)
    writer.tables.write("dead_letters", date_of(START), "one", [dead_letter_row(letter)])
    assert "missing: batch 1 of rank 0 (00000000) is not in what was built" in cli("show", "a", *WHERE).out

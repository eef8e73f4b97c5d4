"""Windows read back from the archive: whole, in parts where they are large, and what does not fit together is told."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that

from tests.pipelines.feed import batch
from tracewinnow.pipelines.build import FAILED, ReadWindowFn, read_window
from tracewinnow.pipelines.options import Settings
from tracewinnow.pipelines.rebuild import BuildHere
from tracewinnow.pipelines.run import run_here
from tracewinnow.schemas.telemetry_pb2 import TelemetryBatch
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.stores.archive import Archive, ArchivedBatch
from tracewinnow.stores.errors import CorruptObject
from tracewinnow.stores.objects import open_objects
from tracewinnow.stores.parquet_tables import connect
from tracewinnow.transforms.trace import Trace

START = 1_760_000_000_000_000_000
KEY = ("job", START)


def archived(made: TelemetryBatch) -> ArchivedBatch:
    return ArchivedBatch(made.process_uuid, made.sequence, made.created_ns, made.SerializeToString())


def lines_of(sequence: int, text: str = "") -> TelemetryBatch:
    return batch(
        "job",
        "a" * 32,
        sequence,
        [f"{text}line {sequence}.{n}" for n in range(1000)],
        created_ns=START + sequence * 10**9,
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(str(tmp_path), part_bytes=1 << 16)


@pytest.fixture
def archive(settings: Settings) -> Archive:
    return Archive(open_objects(settings.warehouse))


def test_a_large_window_is_several_traces_that_hold_every_line_once(archive: Archive, settings: Settings) -> None:
    archive.write(*KEY, [archived(lines_of(sequence)) for sequence in range(9)])
    traces = [found for found in read_window(archive, KEY, settings) if isinstance(found, Trace)]
    assert [trace.part for trace in traces] == list(range(len(traces)))
    assert len(traces) > 3
    assert {trace.revision for trace in traces} == {9}
    assert [line for trace in traces for line in trace.lines] == [
        f"line {s}.{n}" for s in range(9) for n in range(1000)
    ]


def dead_letters(settings: Settings) -> list[tuple[str, str]]:
    """Code and reason of what ReadWindowFn could not read."""
    told: list[tuple[str, str]] = []
    folder = Path(settings.warehouse) / "told"

    def construct(pipeline: beam.Pipeline) -> None:
        read = (
            pipeline | beam.Create([KEY, KEY]) | beam.ParDo(ReadWindowFn(settings)).with_outputs(FAILED, main="traces")
        )

        def note(letters: list[object]) -> None:
            folder.write_text("\n".join(f"{letter.code}\t{letter.reason}" for letter in letters if letter.code))  # type: ignore[attr-defined]

        assert_that(read[FAILED], note)

    run_here(construct)
    for row in folder.read_text().splitlines():
        code, _, reason = row.partition("\t")
        told.append((code, reason))
    return told


def test_two_batches_of_one_name_are_a_dead_letter(archive: Archive, settings: Settings) -> None:
    archive.write(*KEY, [archived(lines_of(0)), archived(lines_of(0, "other "))])
    [(code, reason)] = dead_letters(settings)
    assert code == "name-taken"
    assert "sent two different batches with sequence 0" in reason


def test_a_damaged_object_is_a_dead_letter_that_names_it(archive: Archive, settings: Settings) -> None:
    name = archive.write(*KEY, [archived(lines_of(0))])
    file = Path(settings.warehouse) / name
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    file.write_bytes(whole)
    [(code, reason)] = dead_letters(settings)
    assert code == "corrupt-archive"
    assert name in reason


def damage(settings: Settings, name: str, at: int) -> None:
    file = Path(settings.warehouse) / name
    whole = bytearray(file.read_bytes())
    whole[at] ^= 0xFF
    file.write_bytes(whole)


@pytest.mark.parametrize("at", [0, -5], ids=["head", "block"])
def test_a_window_is_built_without_what_is_damaged(archive: Archive, settings: Settings, at: int) -> None:
    settings = Settings(settings.warehouse)
    archive.write(*KEY, [archived(lines_of(0))])
    name = archive.write(*KEY, [archived(lines_of(1))])
    archive.write(*KEY, [archived(lines_of(2))])
    damage(settings, name, at)
    found = list(read_window(archive, KEY, settings))
    traces = [one for one in found if isinstance(one, Trace)]
    assert [one.name for one in found if isinstance(one, CorruptObject)] == [name]
    assert [line for trace in traces for line in trace.lines] == [f"line {s}.{n}" for s in (0, 2) for n in range(1000)]
    assert {trace.revision for trace in traces} == {2}  # not that of a trace that knew all three
    assert {(one.first, one.last) for trace in traces for one in trace.processes} == {(0, 0), (2, 2)}


def test_a_part_with_a_damaged_block_is_not_stored_as_if_it_were_whole(archive: Archive, settings: Settings) -> None:
    for sequence in range(9):
        name = archive.write(*KEY, [archived(lines_of(sequence))])
    whole = [one.part for one in read_window(archive, KEY, settings) if isinstance(one, Trace)]
    damage(settings, name, -5)
    found = list(read_window(archive, KEY, settings))
    assert [one.part for one in found if isinstance(one, Trace)] == whole[:-1]
    [told] = [one for one in found if isinstance(one, CorruptObject)]
    assert told.name == name
    assert f"part {whole[-1]} was not built" in told.reason


def test_dead_letters_are_counted(archive: Archive, settings: Settings) -> None:
    archive.write(*KEY, [archived(lines_of(0)), archived(lines_of(0, "other "))])
    damage(settings, archive.write(*KEY, [archived(lines_of(1))]), 0)
    counters = BuildHere(settings).build([KEY])
    assert (counters["dead_letters"], counters["damaged_objects"], counters["traces"]) == (2, 1, 1)


def stored(settings: Settings) -> dict[str, bytes]:
    """The stored traces, by name."""
    return {path.name: path.read_bytes() for path in Path(settings.warehouse).glob("traces/*/*")}


@pytest.mark.parametrize("at", [0, -5], ids=["head", "block"])
def test_a_trace_that_knew_more_stays(archive: Archive, settings: Settings, at: int) -> None:
    settings = Settings(settings.warehouse)
    archive.write(*KEY, [archived(lines_of(0))])
    name = archive.write(*KEY, [archived(lines_of(1))])
    here = BuildHere(settings)
    here.build([KEY])
    before = stored(settings)
    damage(settings, name, at)
    archive.write(*KEY, [archived(lines_of(2)), archived(lines_of(3))])
    counters = here.build([KEY])
    assert stored(settings) == before
    assert (counters.get("traces", 0), counters["damaged_objects"], counters["windows_not_rebuilt"]) == (0, 1, 1)
    assert not counters.get("windows_lacking")
    [told] = read_window(archive, KEY, settings)
    assert isinstance(told, CorruptObject)
    assert "the window stays as it was built before" in told.reason
    damage(settings, name, at)  # the copy that was put back
    here.build([KEY])
    assert any("-r00000004-" in name for name in stored(settings))


def test_what_a_stored_trace_did_not_know_may_be_missing(archive: Archive, settings: Settings) -> None:
    settings = Settings(settings.warehouse)
    archive.write(*KEY, [archived(lines_of(0))])
    here = BuildHere(settings)
    here.build([KEY])
    damage(settings, archive.write(*KEY, [archived(lines_of(1))]), -5)
    archive.write(*KEY, [archived(lines_of(2))])
    counters = here.build([KEY])
    assert (counters["traces"], counters["windows_lacking"], counters.get("windows_not_rebuilt", 0)) == (1, 1, 0)
    assert any("-r00000002-" in name for name in stored(settings))


def test_no_part_is_hidden_by_a_newer_one_that_knows_less(archive: Archive, settings: Settings) -> None:
    for sequence in range(5):
        name = archive.write(*KEY, [archived(lines_of(sequence))])
    here = BuildHere(settings)
    here.build([KEY])
    before = stored(settings)
    assert len(before) > 1
    damage(settings, name, -5)
    late = batch("job", "b" * 32, 0, ["late line"], created_ns=START + 1)
    archive.write(*KEY, [archived(late)])
    here.build([KEY])
    assert stored(settings) == before


def test_each_trace_says_how_many_parts_its_window_has(archive: Archive, settings: Settings) -> None:
    archive.write(*KEY, [archived(lines_of(sequence)) for sequence in range(5)])
    BuildHere(settings).build([KEY])
    traces = [PreprocessedTrace.FromString(data) for data in stored(settings).values()]
    assert len(traces) > 1
    assert {trace.job.parts for trace in traces} == {len(traces)}


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_part_of_which_all_stands_in_whole_objects_is_built(archive: Archive, settings: Settings, which: int) -> None:
    archive.write(*KEY, [archived(lines_of(sequence)) for sequence in range(7)])
    names = [archive.write(*KEY, [archived(lines_of(n)) for n in some]) for some in ((7, 8), (7,), (8,))]
    damage(settings, names[which], -5)
    traces = [one for one in read_window(archive, KEY, settings) if isinstance(one, Trace)]
    assert sum(len(trace.lines) for trace in traces) == 9000


def test_the_letters_of_a_mended_archive_go(archive: Archive, settings: Settings) -> None:
    name = archive.write(*KEY, [archived(lines_of(0))])
    here = BuildHere(settings)
    for letters in (1, 0):
        damage(settings, name, 0)
        assert here.build([KEY]).get("dead_letters", 0) == letters
        with connect(settings.warehouse) as tables:
            assert tables.execute("select count(*) from dead_letters").fetchone() == (letters,)

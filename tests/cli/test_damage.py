"""A warehouse with damaged files: what is whole is answered, what is not is named with its remedy, and nothing exits with 0."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.serving.conftest import Writer, batch
from tracewinnow.serving.damage import unreadable
from tracewinnow.stores.errors import StoreError
from tracewinnow.stores.local_objects import LocalObjects
from tracewinnow.transforms import dofns

WHERE = ("--warehouse", "warehouse")
AGAIN = "`tracewinnow rebuild --job a --warehouse warehouse` makes it again"


@pytest.fixture
def two(writer: Writer) -> Writer:
    """A job of two windows."""
    writer.window([batch("a", 0, 0, ["first window"])])
    writer.window([batch("a", 0, 1, ["second window"], window=1)], window=1)
    return writer


def stored(writer: Writer, pattern: str) -> Path:
    """The file of the second window."""
    return sorted(writer.folder.glob(pattern))[1]


def empty(data: bytes) -> bytes:
    return b""


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize("damage", [empty, half, None], ids=["empty", "half", "of another window"])
def test_an_answer_without_a_trace_says_so(cli: Cli, two: Writer, damage: Callable[[bytes], bytes] | None) -> None:
    trace, other = stored(two, "traces/*/*"), sorted(two.folder.glob("traces/*/*"))[0]
    trace.write_bytes(damage(trace.read_bytes()) if damage else other.read_bytes())
    said = cli("show", "a", *WHERE, "--html", "page.html", "--json")
    assert said.code == 1
    told = json.loads(said.out)
    assert told["holes"] == ["window 2026-01-01T00:01:00Z cannot be read"]
    assert "missing: window 2026-01-01T00:01:00Z cannot be read" in told["text"]
    assert "window 2026-01-01T00:01:00Z cannot be read" in Path("page.html").read_text()
    assert "The answer is not whole." in said.err
    assert trace.name in said.err
    assert AGAIN in said.err
    said = cli("export", "--date", "2026-01-01", *WHERE)
    assert (said.code, said.out) == (1, "")
    assert trace.name in said.err
    assert AGAIN in said.err
    assert not list(two.folder.glob("export/*/manifest.json"))


def test_a_trace_that_is_gone_is_a_hole(cli: Cli, two: Writer) -> None:
    stored(two, "traces/*/*").unlink()
    said = cli("show", "a", *WHERE)
    assert said.code == 1
    assert AGAIN in said.err


@pytest.mark.parametrize("damage", [empty, half])
@pytest.mark.parametrize(
    ("table", "verb"),
    [
        *itertools.product(["jobs", "traces"], [("jobs",), ("show", "b"), ("series", "b")]),
        ("jobs", ("lines", "b", "1")),
    ],
    ids=str,
)
def test_a_damaged_table_is_named(
    cli: Cli, two: Writer, table: str, verb: tuple[str, ...], damage: Callable[[bytes], bytes]
) -> None:
    two.window([batch("b", 0, 0, ["another job"])])
    file = stored(two, f"tables/{table}/*/a-*")
    file.write_bytes(damage(file.read_bytes()))
    said = cli(*verb, *WHERE)
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"Error: {file.relative_to(two.folder.parent)} is damaged. Remove it; {AGAIN} from the archive.\n"
    )


def test_what_is_made_again_is_whole(cli: Cli, two: Writer) -> None:
    for pattern in ("traces/*/*", "tables/jobs/*/a-*", "tables/traces/*/a-*"):
        file = stored(two, pattern)
        file.write_bytes(half(file.read_bytes()))
    assert cli("rebuild", "--job", "a", *WHERE).code == 0
    said = cli("show", "a", *WHERE)
    assert said.code == 0
    assert "second window" in said.out


def test_a_damaged_archive_is_told_and_the_rest_is_built(cli: Cli, two: Writer) -> None:
    two.window([batch("a", 0, 2, ["more of it"], window=1)], window=1)
    first = stored(two, "archive/a/*/*")
    for file in two.folder.glob("t*/**/a-*"):  # as after a loss of the tables
        file.unlink()
    first.write_bytes(half(first.read_bytes()))
    said = cli("rebuild", *WHERE)
    assert said.code == 1
    assert f"{first.relative_to(two.folder)} is damaged" in said.err
    assert "2 windows: 2 traces, 1 dead letter" in said.err
    assert "1 object of the archive cannot be read (named above): 1 window lacks what only they held." in said.err
    said = cli("show", "a", *WHERE)
    assert "first window" in said.out
    assert ("second window" in said.out) != ("more of it" in said.out)
    said = cli("rebuild", *WHERE, "--json")
    assert said.code == 1
    assert json.loads(said.out)["damaged_objects"] == 1


def test_a_window_that_stays_as_it_was_is_said_to(cli: Cli, two: Writer) -> None:
    for file in two.folder.glob("archive/a/*/*"):
        file.write_bytes(half(file.read_bytes()))
    said = cli("rebuild", *WHERE)
    assert said.code == 1
    assert (
        "2 objects of the archive cannot be read (named above): 2 windows stay as they were built before." in said.err
    )
    assert "lack" not in said.err
    assert "2 records or windows were refused (dead letters): corrupt-archive 2" in cli("jobs", *WHERE).err


def test_a_letter_of_a_mended_window_goes(cli: Cli, two: Writer) -> None:
    file = stored(two, "archive/a/*/*")
    whole = file.read_bytes()
    file.write_bytes(half(whole))
    cli("rebuild", *WHERE)
    assert "1 record or window was refused (dead letters): corrupt-archive 1" in cli("jobs", *WHERE).err
    file.write_bytes(whole)
    assert cli("rebuild", *WHERE).code == 0
    assert "refused" not in cli("jobs", *WHERE).err


def test_a_rebuild_in_which_a_stage_failed_says_so(cli: Cli, two: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("no stage takes this")

    with monkeypatch.context() as broken:
        broken.setattr(dofns, "denoise_stage", fails)
        said = cli("rebuild", *WHERE)
    assert said.code == 1
    assert "2 traces could not be made or written whole: the dead letters say why." in said.err
    assert cli("rebuild", *WHERE).code == 0
    assert "refused" not in cli("jobs", *WHERE).err


@pytest.mark.parametrize("damage", [half, lambda data: data[:-5] + b"!" + data[-4:]], ids=["index", "block"])
def test_the_lines_that_can_be_read_are_printed(cli: Cli, writer: Writer, damage: Callable[[bytes], bytes]) -> None:
    writer.window([batch("a", 0, 0, ["good one", "good two"])])
    [good] = writer.folder.glob("archive/a/*/*")
    made = writer.window([batch("a", 0, 1, ["bad"])])
    [bad] = {*writer.folder.glob("archive/a/*/*")} - {good}
    writer.trace(made)
    bad.write_bytes(damage(bad.read_bytes()))
    said = cli("lines", "a", "1-2", *WHERE)
    assert (said.code, said.out) == (1, "good one\ngood two\n")
    assert "answers were made of 1, and number lines otherwise" in said.err
    assert f"{bad.relative_to(writer.folder)} is damaged" in said.err
    assert "put back a copy, then `tracewinnow rebuild --job a --warehouse warehouse`" in said.err
    said = cli("lines", "a", "7", *WHERE)
    assert (said.code, said.out) == (1, "")
    assert "has 2 lines, 7 is beyond its end" in said.err
    assert f"{bad.relative_to(writer.folder)} is damaged" in said.err


def test_lines_of_a_newer_version(cli: Cli, writer: Writer) -> None:
    writer.window([batch("a", 0, 0, ["x"])])
    [file] = writer.folder.glob("archive/a/*/*")
    data = bytearray(file.read_bytes())
    data[5] = 9
    file.write_bytes(data)
    said = cli("lines", "a", "1", *WHERE)
    assert (said.code, said.out) == (1, "")
    assert "Nothing can be read of job 'a' in window 2026-01-01T00:00:00Z." in said.err
    assert "version 9 of the archive format; this software reads up to 1: update it; then `tracewinnow reb" in said.err
    assert "put back" not in said.err


@pytest.mark.parametrize(
    ("folder", "name", "again"),
    [
        ("traces", "compacted", "`tracewinnow rebuild --warehouse warehouse` makes it again"),
        ("segments", "x~" + "0" * 64, "`tracewinnow rebuild --warehouse warehouse` makes it again"),
        ("dead_letters", "0" * 64, "what it told of refused records is lost"),
    ],
)
def test_the_remedy_follows_from_the_table(cli: Cli, two: Writer, folder: str, name: str, again: str) -> None:
    file = two.folder / "tables" / folder / "dt=2026-01-01" / f"{name}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"PAR1")
    error = str(unreadable(two.store, "warehouse", ValueError("no")))
    assert f"{name}.parquet is damaged. Remove it; {again}" in error


def test_a_file_that_this_user_may_not_read_is_not_damaged(two: Writer) -> None:
    class Refusing(LocalObjects):
        def get(self, name: str) -> bytes:
            raise StoreError(f"Permission denied: {name}.")

    class Going(LocalObjects):
        def get(self, name: str) -> bytes:
            self.delete(name)
            return super().get(name)

    with pytest.raises(StoreError, match="Permission denied"):
        unreadable(Refusing(two.folder), "warehouse", ValueError("no"))
    assert "ask again" in str(unreadable(Going(two.folder), "warehouse", ValueError("no")))


@pytest.mark.parametrize("window", ["7m", "30s", "2m"])
@pytest.mark.parametrize("traces", [True, False], ids=["with traces", "archive alone"])
def test_windows_of_another_length_are_refused(cli: Cli, writer: Writer, window: str, traces: bool) -> None:
    for number in (0, 1, 2):
        writer.window([batch("a", 0, 45, ["x"], window=number)], window=number)
    if not traces:
        for file in writer.folder.glob("traces/*/*"):
            file.unlink()
    Path("a.log").write_text("hello\n")
    for verb in (("rebuild",), ("backfill", "a.log"), ("stream", "--bootstrap", "x")):
        said = cli(*verb, *WHERE, "--window", window)
        assert said.code == 2
        assert f"--window is {window}, but the windows of warehouse are" in said.err
        assert "give --window 60s" in said.err or not traces
    assert cli("rebuild", *WHERE, "--window", "1m").code == 0

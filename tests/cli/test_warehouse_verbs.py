"""jobs, show and lines over a warehouse on disk; completion."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.serving.conftest import SECOND, START, Writer, batch
from tracewinnow.stores.archive import Archive, ArchivedBatch


@pytest.fixture
def crashed(writer: Writer) -> Writer:
    """A job of one window that crashed, with a hole."""
    made = batch("llama-1", 0, 0, [f"line {number}" for number in range(1, 31)])
    late = batch("llama-1", 0, 2, ["café"])
    late.events[0].log.text = b"caf\xe9"
    late.events.add(time_ns=START + 3 * SECOND).crash.message = "no memory"
    writer.window([made, late])
    return writer


def test_jobs(cli: Cli, crashed: Writer) -> None:
    said = cli("jobs", "--warehouse", "warehouse")
    assert said.code == 0
    head, row = said.out.splitlines()
    assert head.split()[:2] == ["JOB", "STATE"]
    assert row.startswith("llama-1  crashed  ")
    assert row.endswith("[1 batch missing] no memory")
    assert "llama-1: batch 1 of rank 0 (00000000) is not in what was built" in said.err


def test_jobs_as_json(cli: Cli, crashed: Writer) -> None:
    [job] = json.loads(cli("jobs", "--warehouse", "warehouse", "--json").out)
    assert (job["job_id"], job["state"], job["ranks"], job["lines"]) == ("llama-1", "crashed", [0], 32)
    assert job["holes"] == [{"process_uuid": "0" * 32, "rank": 0, "first": 1, "last": 1, "cause": ""}]


def test_no_job_in_that_state(cli: Cli, crashed: Writer) -> None:
    said = cli("jobs", "--warehouse", "warehouse", "--state", "stopped")
    assert (said.code, said.out) == (0, "")
    assert "No job is stopped" in said.err
    assert json.loads(cli("jobs", "--warehouse", "warehouse", "--state", "stopped", "--json").out) == []


def test_the_warehouse_from_the_environment(cli: Cli, crashed: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEWINNOW_WAREHOUSE", "warehouse")
    assert "llama-1" in cli("jobs").out


def test_what_a_job_calls_itself_cannot_steer_the_terminal(cli: Cli, writer: Writer) -> None:
    writer.window([batch("\x1b[2Jboo\u202e", 0, 0, ["x"])])
    assert "\\x1b[2Jboo\\u202e" in cli("jobs", "--warehouse", "warehouse").out


def test_show_an_unknown_job(cli: Cli, crashed: Writer) -> None:
    said = cli("show", "lama-1", "--warehouse", "warehouse")
    assert said.code == 1
    assert "No job 'lama-1'. Did you mean llama-1?" in said.err


def test_show_by_the_beginning_of_the_name(cli: Cli, crashed: Writer) -> None:
    said = cli("show", "lla", "--warehouse", "warehouse", "--html", "page.html", "--json")
    assert said.code == 0
    told = json.loads(said.out)
    assert (told["job_id"], told["state"], told["reason"]) == ("llama-1", "crashed", "no memory")
    assert "batch 1 of rank 0 (00000000) never came" in told["text"]
    assert Path("page.html").read_text().startswith("<!doctype html>")
    assert "Report: page.html" in said.err


def test_a_report_that_cannot_be_written(cli: Cli, crashed: Writer) -> None:
    said = cli("show", "llama-1", "--warehouse", "warehouse", "--html", "nowhere/page.html")
    assert (said.code, said.out) == (2, "")
    assert f"there is no folder {Path.cwd() / 'nowhere'} to write nowhere/page.html in" in said.err


def test_a_report_on_standard_output_stands_there_alone(cli: Cli, crashed: Writer) -> None:
    cli("show", "llama-1", "--warehouse", "warehouse", "--html", "page.html")
    said = cli("show", "llama-1", "--warehouse", "warehouse", "--html", "-")
    assert said.code == 0
    assert said.out.startswith("<!doctype html>")
    assert said.out.rstrip().endswith("</html>")
    assert "llama-1: crashed" in said.err
    assert not Path("-").exists()
    cli("show", "llama-1", "--warehouse", "warehouse", "--html", "./-")
    assert Path("-").read_text().startswith("<!doctype html>")


def test_lines(cli: Cli, crashed: Writer) -> None:
    said = cli("lines", "llama-1", "7-9", "--warehouse", "warehouse")
    assert (said.code, said.out, said.err) == (0, "line 7\nline 8\nline 9\n", "")


def test_lines_that_came_after_the_answer_are_said(cli: Cli, crashed: Writer) -> None:
    late = batch("llama-1", 1, 0, ["late"])
    data = ArchivedBatch(late.process_uuid, late.sequence, late.created_ns, late.SerializeToString())
    Archive(crashed.store).write("llama-1", START, [data])
    said = cli("lines", "llama-1", "7-9", "--warehouse", "warehouse")
    assert said.code == 0
    assert "The window holds 3 batches now; answers were made of 2, and number lines otherwise." in said.err


def test_lines_as_they_came(crashed: Writer) -> None:
    command = [sys.executable, "-m", "tracewinnow", "lines", "llama-1", "31", "--warehouse", str(crashed.folder)]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"caf\xe9\n"


def test_lines_as_json(cli: Cli, crashed: Writer) -> None:
    said = cli("lines", "llama-1", "30-99", "--warehouse", "warehouse", "--json")
    rows = [json.loads(row) for row in said.out.splitlines()]
    assert [row["line"] for row in rows] == [30, 31, 32]
    assert rows[1] == {
        "window": "2026-01-01T00:00:00Z", "line": 31, "time_ns": START + 2 * SECOND, "rank": 0, "text": "caf\udce9",
    }  # fmt: skip
    assert "ends at line 32" in said.err


def test_lines_beyond_the_end(cli: Cli, crashed: Writer) -> None:
    said = cli("lines", "llama-1", "100", "--warehouse", "warehouse")
    assert said.code == 1
    assert "has 32 lines, 100 is beyond its end" in said.err


def test_lines_of_a_window_by_a_time_inside_of_it(cli: Cli, crashed: Writer) -> None:
    said = cli("lines", "llama-1", "1", "--window", "2026-01-01T00:00:30Z", "--warehouse", "warehouse")
    assert said.out == "line 1\n"
    assert "Window 2026-01-01T00:00:00Z" in said.err


def test_lines_of_a_window_that_is_not_there(cli: Cli, crashed: Writer) -> None:
    said = cli("lines", "llama-1", "1", "--window", "2026-01-01T00:01:00Z", "--warehouse", "warehouse")
    assert (said.code, said.out) == (1, "")
    assert "has no window 2026-01-01T00:01:00Z. It has: 2026-01-01T00:00:00Z" in said.err


@pytest.mark.parametrize("verb", ["jobs", "show", "lines", "series", "export", "rebuild", "backfill", "stream"])
def test_examples_name_the_warehouse(cli: Cli, verb: str) -> None:
    examples = cli(verb, "--help").out.partition("Examples:")[2].replace("\\\n", "")
    for example in examples.strip().splitlines():
        assert "--warehouse" in example


def test_without_a_warehouse_both_ways_are_told(cli: Cli) -> None:
    said = cli("show", "llama-1")
    assert said.code == 2
    assert "with --warehouse, or set TRACEWINNOW_WAREHOUSE" in said.err


@pytest.mark.parametrize("start", ["2026-01-01T00:00:00Z", str(START)])
def test_a_window_and_its_part_as_an_answer_names_them(cli: Cli, writer: Writer, start: str) -> None:
    for sequence in range(3):  # 32 MiB each: the third is in another part
        made = batch("big", 0, sequence, [f"head {sequence}", "x" * (32 << 20)])
        data = ArchivedBatch(made.process_uuid, sequence, made.created_ns, made.SerializeToString())
        Archive(writer.store).write("big", START, [data])
    writer.window([batch("small", 0, 0, ["x"])])
    where = ("--warehouse", "warehouse")
    for part in (0, 1, 2):
        said = cli("lines", "big", "1", "--window", f"{start} part {part}", *where)
        assert (said.code, said.out) == (0, f"head {part}\n")
    assert cli("lines", "big", "1", "--window", f"{start} part 1", "--part", "1", *where).out == "head 1\n"
    said = cli("lines", "big", "1", "--window", f"{start} part 1", "--part", "0", *where)
    assert said.code == 2
    assert "--window names part 1, and --part says 0: leave --part out" in said.err


@pytest.mark.parametrize("verb", ["jobs", "show", "lines", "series"])
def test_verbs_that_ask_a_folder_say_so(cli: Cli, verb: str) -> None:
    told = " ".join(cli(verb, "--help").out.split())
    assert "Folder of the warehouse; fetch one in a bucket first, e.g. gcloud storage rsync --recursive" in told
    assert "or gs://" not in told
    assert "or gs://bucket/prefix" in " ".join(cli("export", "--help").out.split())


def test_a_part_that_is_not_there(cli: Cli, crashed: Writer) -> None:
    said = cli("lines", "llama-1", "1", "--part", "3", "--warehouse", "warehouse")
    assert said.code == 2
    assert "one part" in said.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(cli: Cli, shell: str) -> None:
    said = cli("completion", shell)
    assert said.code == 0
    assert "_TRACEWINNOW_COMPLETE" in said.out
    if program := shutil.which(shell):
        checked = subprocess.run([program, "-n"], input=said.out, text=True, capture_output=True)
        assert checked.returncode == 0, checked.stderr


def complete(words: str, program: str) -> tuple[list[str], str]:
    """What TAB behind these words offers, and what it prints beside; `program` runs before the command line does."""
    environment = {
        **os.environ,
        "_TRACEWINNOW_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    code = f"import sys; sys.argv[0] = 'tracewinnow'\n{program}\nimport tracewinnow.cli; tracewinnow.cli.main()"
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    return [row.removeprefix("plain,") for row in said.stdout.split()], said.stderr


BARE = "sys.modules.update(dict.fromkeys(['apache_beam', 'duckdb', 'pyarrow', 'tiktoken', 'mistral_common']))"


@pytest.mark.parametrize("program", ["", BARE], ids=["everything", "base"])
def test_completion_knows_the_verbs_whatever_is_installed(program: str) -> None:
    assert complete("tracewinnow s", program) == (["sync", "stream", "show", "series"], "")
    assert complete("tracewinnow run --acc", program) == (["--accelerator"], "")
    options, told = complete("tracewinnow show --bud", program)
    assert options in (["--budget"], [])
    assert told == ""

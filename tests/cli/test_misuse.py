"""Every verb, used wrongly: a sentence that helps, the exit code that was promised, and never a traceback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tracewinnow.cli import VERBS

# What each verb says without arguments, and its exit code.
ALONE = {
    "preprocess": (0, ""),  # reads stdin, which is empty
    "run": (2, "no command to run"),
    "sync": (2, "Missing argument 'DIRECTORY'"),
    "stream": (2, "Missing option '--bootstrap'"),
    "backfill": (2, "Missing argument 'PATH...'"),
    "rebuild": (2, "Missing option '--warehouse'"),
    "export": (2, "Missing option '--warehouse'"),
    "jobs": (2, "Missing option '--warehouse'"),
    "show": (2, "Missing argument 'JOB'"),
    "lines": (2, "Missing argument 'JOB'"),
    "series": (2, "Missing argument 'JOB'"),
    "train": (2, "Usage:"),
    "evaluate": (2, "Usage:"),
    "reference": (2, "Make, merge and show profiles"),
    "codec": (2, "Encode, decode and inspect numeric containers"),
    "completion": (2, "Missing argument"),
}

WRONG = [
    (("sneeze",), 2, "No such command 'sneeze'"),
    (("jbos",), 2, "No such command 'jbos'. Did you mean jobs?"),
    (("--sneeze",), 2, "No such option"),
    (("preprocess", "nowhere.log"), 2, "nowhere.log"),
    (("preprocess", "."), 2, "folder"),
    (("preprocess", "a.log", "--budget", "0"), 2, "at least 1"),
    (("preprocess", "a.log", "--budget", "many"), 2, "not a valid integer"),
    (("preprocess", "a.log", "--budget", "9" * 30), 2, "budget"),
    (("preprocess", "a.log", "--reference", "nowhere.log"), 2, "nowhere.log"),
    (("reference", "build", "a.log", "--out", "a.log"), 2, "it is not overwritten"),
    (("reference", "show", "a.log"), 2, "is no profile"),
    (("run", "--", "no-such-program"), 127, "no-such-program: No such file"),
    (
        ("run", "--spool", "a.log", "--", "true"),
        2,
        "a.log is a file: a spool is a folder, which is made when it is not",
    ),
    (("run", "--spool", "a.log/b", "--", "true"), 2, "a.log/b leads through a file: a spool is a folder"),
    (("run", "--spool", "/proc/nope", "--", "true"), 2, "/proc/nope cannot be made: No such file or directory. Choose"),
    (("sync", "nowhere"), 2, "does not exist"),
    (("sync", "a.log"), 2, "is a file"),
    (("stream", "--bootstrap", "x", "--warehouse", "w", "--window", "5"), 2, "not a duration"),
    (("stream", "--bootstrap", "x", "--warehouse", "w", "--window", "1ms"), 2, "at least 1s"),
    (("stream", "--bootstrap", "x", "--warehouse", "w", "--topics", ","), 2, "names no topic"),
    (("stream", "--bootstrap", "x", "--warehouse", "w", "--runner", "spark"), 2, "'spark' is not one of"),
    (("stream", "--bootstrap", "x", "--warehouse", "w", "--budget", "0"), 2, "budget"),
    (("stream", "--bootstrap", "x", "--warehouse", "", "--until-idle", "1s"), 2, "warehouse"),
    (("stream", "--bootstrap", "127.0.0.1:1", "--warehouse", "w", "--until-idle", "1s"), 1, "broker"),
    (("backfill", "nowhere", "--warehouse", "w"), 2, "nowhere"),
    (("backfill", "a.log", "--warehouse", "a.log"), 2, "a.log is a file: a warehouse is a folder"),
    (("backfill", "a.log", "--warehouse", "w", "--beam-options", "--x=1"), 2, "Did you forget --runner?"),
    (("backfill", "a.log", "--warehouse", "w", "--runner", "flink", "--beam-options", "'"), 2, "No closing quotation"),
    (("backfill", "a.log", "--warehouse", "w", "--runner", "flink"), 2, "needs --job_endpoint: give --beam-options"),
    (("backfill", "a.log", "--warehouse", "w", "--runner", "dataflow"), 2, "needs --project: give --beam-options"),
    (("backfill", "a.log", "--warehouse", "w", "--tables", "x"), 2, "give bq://PROJECT/DATASET"),
    (("backfill", "a.log", "--warehouse", "w", "--tables", "bq://p"), 2, "Name the project and the dataset"),
    (("stream", "--bootstrap", "x", "--warehouse", "w", "--tables", "bq://p"), 2, "Name the project and the dataset"),
    (("stream", "--bootstrap", "x", "--warehouse", "w", "--tables", "bq://"), 2, "Name the project and the dataset"),
    (("stream", "--bootstrap", "x", "--warehouse", "w", "--tables", "bq:///d"), 2, "Name the project and the dataset"),
    (
        ("stream", "--bootstrap", "x", "--warehouse", "w", "--tables", "bq://p/d/e"),
        2,
        "Name the project and the dataset",
    ),
    (("rebuild", "--warehouse", "w", "--tables", "bq://p"), 2, "Name the project and the dataset"),
    (("backfill", "a.log", "--warehouse", "w", "--window", "99d"), 2, "at most 31d"),
    (("backfill", "a.log", "--warehouse", "w", "--reference", "a.log"), 2, "no reference profile"),
    (("rebuild", "--warehouse", "nowhere"), 2, "holds no warehouse"),
    (("rebuild", "--warehouse", "a.log"), 2, "holds no warehouse"),
    (("stream", "--bootstrap", "x", "--warehouse", "a.log"), 2, "a.log is a file: a warehouse is a folder"),
    (("backfill", "a.log", "--warehouse", "w", "--window", "-3s"), 2, "not a duration"),
    (("export", "--warehouse", "w", "--date", "yesterday"), 2, "YYYY-MM-DD"),
    (("export", "--warehouse", "w", "--date", "2026-13-99"), 2, "YYYY-MM-DD"),
    (("export", "--warehouse", "nowhere", "--date", "2020-01-01"), 2, "holds no warehouse"),
    (("jobs", "--warehouse", "nowhere"), 2, "holds no warehouse"),
    (("jobs", "--warehouse", "a.log"), 2, "holds no warehouse"),
    (("jobs", "--warehouse", ""), 2, "'--warehouse': it is empty"),
    (("jobs", "--warehouse", "s3://bucket"), 2, "gs://BUCKET"),
    (("jobs", "--warehouse", "w", "--state", "dead"), 2, "'dead' is not one of"),
    (("jobs", "--warehouse", "w", "--limit", "0"), 2, "not in the range"),
    (("show", "job", "--warehouse", "nowhere"), 2, "holds no warehouse"),
    (("show", "job", "--warehouse", "w", "--budget", "0"), 2, "not in the range"),
    (("show", "job", "--warehouse", "w", "--html", "."), 2, "is a directory"),
    (("show", "job", "--warehouse", "w", "--html", "-", "--json"), 2, "both write to standard output"),
    (("codec", "decode", "a.twc", "x.csv", "--first-step", "9", "--last-step", "2"), 2, "9 is behind --last-step 2"),
    (("lines", "job", "5-1", "--warehouse", "w"), 2, "not a range of lines"),
    (("lines", "job", "x", "--warehouse", "w"), 2, "not a range of lines"),
    (("lines", "job", "1-2", "--warehouse", "nowhere"), 2, "holds no warehouse"),
    (("lines", "job", "1-2", "--warehouse", "w", "--part", "-1"), 2, "not in the range"),
    (("train", "denoiser"), 2, "Missing option '--out'"),
    (("train", "denoiser", "--out", "m"), 2, "--data"),
    (("train", "denoiser", "--out", "m", "--data", "nowhere"), 2, "does not exist"),
    (("train", "ranker"), 2, "No such command"),
    (("evaluate", "denoiser", "--model", "nowhere"), 2, "does not exist"),
    (("evaluate", "denoiser", "--model", "."), 1, "tracewinnow train denoiser"),
    (("completion", "tcsh"), 2, "'tcsh' is not one of"),
]


@pytest.fixture(autouse=True)
def log(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("hello\n")


@pytest.mark.parametrize("verb", ALONE)
def test_without_arguments(cli: Cli, verb: str) -> None:
    code, told = ALONE[verb]
    said = cli(verb)
    assert said.code == code
    assert told in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("verb", ALONE)
def test_help_has_examples(cli: Cli, verb: str) -> None:
    said = cli(verb, "--help")
    assert said.code == 0
    assert re.match(rf"Usage: .*tracewinnow {verb} ", said.out)
    assert "Examples:" in said.out
    assert f"  tracewinnow {verb}" in said.out.split("Examples:")[1]


@pytest.mark.parametrize("verb", [verb for verb in ALONE if verb != "run"])
def test_an_unknown_option(cli: Cli, verb: str) -> None:
    said = cli(verb, "--sneeze")
    assert said.code == 2
    assert "No such option" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "told"), WRONG, ids=[" ".join(arguments)[:60] for arguments, _, _ in WRONG]
)
def test_wrong_use(cli: Cli, arguments: tuple[str, ...], code: int, told: str) -> None:
    said = cli(*arguments)
    assert (said.code, told in said.err) == (code, True), said
    assert "Traceback" not in said.err
    assert said.out == ""


def test_every_verb_is_in_the_help(cli: Cli) -> None:
    said = cli("--help")
    assert said.code == 0
    assert all(f"  {verb} " in said.out for verb in VERBS)


def test_every_verb_is_misused_here() -> None:
    assert set(ALONE) == set(VERBS)

"""backfill, rebuild and export as a user meets them; what is wrong with files and folders is said in words."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from tests.cli.conftest import Cli
from tracewinnow.cli.common import submitted
from tracewinnow.schemas.errors import BadUse, TracewinnowError
from tracewinnow.stores.parquet_tables import connect

LOG = "2026-03-01 12:00:00 step 1 loss 2.0\n2026-03-01 12:00:01 step 2 loss nan\nRuntimeError: shard 7 is gone\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "job-7.log"
    path.write_text(LOG)
    return path


def test_from_a_file_to_the_answer_and_the_export(cli: Cli, log: Path) -> None:
    said = cli("backfill", "job-7.log", "--warehouse", "my warehouse")
    assert (said.code, said.out) == (0, "")
    assert "1 file: 3 events, 1 trace" in said.err
    assert "tracewinnow jobs --warehouse 'my warehouse'" in said.err
    said = cli("jobs", "--warehouse", "my warehouse")
    assert "job-7" in said.out
    assert "imported" in said.out
    assert "RuntimeError: shard 7 is gone" in cli("show", "job-7", "--warehouse", "my warehouse").out
    said = cli("backfill", "job-7.log", "--warehouse", "my warehouse")
    assert "1 file already in (--again reads them again)" in said.err
    assert "1 window: 1 trace, 0 dead letters" in cli("rebuild", "--warehouse", "my warehouse").err
    said = cli("export", "--date", "2026-03-01", "--warehouse", "my warehouse")
    manifest = json.loads(Path(said.out.splitlines()[-1]).read_text())
    assert manifest["traces"] == 1
    assert cli("rebuild", "--warehouse", "my warehouse", "--json").out.startswith('{"windows": 1')


def test_what_healthy_runs_print_is_noise_in_every_trace(cli: Cli, log: Path, tmp_path: Path) -> None:
    (tmp_path / "good.log").write_text(LOG.replace("RuntimeError: shard 7 is gone\n", "done\n"))
    (tmp_path / "good-too.log").write_text("RuntimeError: shard 7 is gone\n")
    for healthy, shown in (("good.log", True), ("good-too.log", False)):
        assert cli("reference", "build", healthy, "--out", "healthy.json").code == 0
        said = cli("backfill", "job-7.log", "--again", "--warehouse", "w", "--reference", "healthy.json")
        assert said.code == 0
        found = json.loads(cli("show", "job-7", "--warehouse", "w", "--json").out)["segments"]
        assert any(one["label"] == "actionable" and "RuntimeError" in one["text"] for one in found) is shown
    said = cli("backfill", "job-7.log", "--warehouse", "w", "--reference", "good.log")
    assert said.err.count("tracewinnow reference build") == 1
    for verb in (("backfill", "job-7.log"), ("rebuild",)):
        for wrong, says in (("good.log", "no reference profile"), ("nowhere.json", "cannot be read")):
            said = cli(*verb, "--warehouse", "w", "--reference", wrong)
            assert said.code == 2
            assert says in said.err


def test_files_that_are_no_logs(cli: Cli, log: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(random.Random(7).randbytes(10_000))
    (tmp_path / "empty.log").touch()
    said = cli("backfill", "weights.bin", "empty.log", "--warehouse", "w")
    assert said.code == 1
    assert "Skipped: weights.bin holds binary data, not text" in said.err
    assert "Nothing to do: 1 file without content, 1 file skipped." in said.err
    said = cli("backfill", "weights.bin", "job-7.log", "--warehouse", "w")
    assert said.code == 1  # something was left out
    assert "1 file: 3 events" in said.err


def test_damaged_files_are_named_and_the_exit_code_says_so(cli: Cli, log: Path, tmp_path: Path) -> None:
    lines = "".join(f"{hashlib.sha256(b'%d' % i).hexdigest()}\n" for i in range(3000))
    (tmp_path / "cut.log.gz").write_bytes(gzip.compress(lines.encode())[:-9000])
    (tmp_path / "cut.log.zst").write_bytes(zstandard.compress(lines.encode())[:-9000])
    (tmp_path / "cut.outbox").write_bytes(b"TWOUTBX1" + bytes(9))
    (tmp_path / "bad.log.bz2").write_bytes(bz2.compress(b"x\n" * 50)[:30] + b"?" * 30)
    files = ("cut.log.gz", "cut.log.zst", "cut.outbox")
    said = cli("backfill", "job-7.log", *files, "--warehouse", "w")
    assert (said.code, said.out) == (1, "")
    assert "4 files: " in said.err
    assert ", 3 dead letters." in said.err
    with connect("w") as tables:
        reasons = [reason for (reason,) in tables.execute("select reason from dead_letters order by reason").fetchall()]
    assert [said.err.splitlines().count(reason) for reason in reasons] == [1, 1, 1]
    said = cli("backfill", "job-7.log", *files, "bad.log.bz2", "--warehouse", "w2", "--json")
    assert said.code == 1
    told = json.loads(said.out)
    assert told["damaged_files"] == reasons
    assert told["skipped_files"] == [f"{tmp_path}/bad.log.bz2 cannot be decompressed: Invalid data stream"]
    assert told["dead_letters"] == 3


def test_a_file_of_which_nothing_was_taken_is_named_and_the_exit_code_says_so(cli: Cli, log: Path) -> None:
    said = cli("backfill", "job-7.log", "--job", "two\nlines", "--warehouse", "w")
    assert said.code == 1
    assert (
        f"{log}: all that is in it became dead letters, the first because job_id 'two\\nlines' has a control"
        in said.err
    )
    assert ", 1 dead letter." in said.err


def test_names_of_files_may_be_any_bytes(cli: Cli, log: Path, tmp_path: Path) -> None:
    log.rename(tmp_path / os.fsdecode(b"bad\xff.log"))
    said = cli("backfill", ".", "--warehouse", "w")
    assert said.code == 0
    assert "RuntimeError: shard 7 is gone" in cli("show", "bad\\xff", "--warehouse", "w").out


def test_counters_are_there_where_nothing_is_to_do(cli: Cli, log: Path, tmp_path: Path) -> None:
    (tmp_path / "new.outbox").write_bytes(b"TWOUTBX1")
    first = json.loads(cli("backfill", "job-7.log", "--warehouse", "w", "--json").out)
    assert (first["events"], first["traces"], first["dead_letters"]) == (3, 1, 0)
    said = cli("backfill", "job-7.log", "new.outbox", "--warehouse", "w", "--json")
    assert said.code == 0
    assert "Nothing to do: 1 file without content, 1 file already in" in said.err
    nothing = json.loads(said.out)
    assert {name for name in nothing if nothing[name]} == set()
    assert {"events", "traces", "dead_letters", "tokens_before", "tokens_after"} <= set(nothing)
    assert (nothing["damaged_files"], nothing["skipped_files"]) == ([], [])


def test_an_empty_path_is_not_the_working_folder(cli: Cli, log: Path) -> None:
    for wrong, named in ((("",), "PATH..."), (("job-7.log", ""), "PATH..."), (("job-7.log", "--job", ""), "--job")):
        said = cli("backfill", *wrong, "--warehouse", "w")
        assert said.code == 2
        assert f"Invalid value for '{named}': it is empty" in said.err
    assert not Path("w").exists()


def test_a_warehouse_is_not_read_into_itself(cli: Cli, log: Path, tmp_path: Path) -> None:
    assert cli("backfill", "job-7.log", "--warehouse", "w").code == 0
    (trace,) = Path("w/traces").glob("*/*")
    for wrong, says in (("w", "w is the warehouse itself"), (str(trace), f"{trace} is in the warehouse w")):
        said = cli("backfill", "job-7.log", wrong, "--warehouse", "w")
        assert said.code == 2
        assert says in said.err
    (tmp_path / "other.log").write_text(LOG)
    (tmp_path / "stdin").unlink()
    said = cli("backfill", ".", "--warehouse", "w")
    assert said.code == 0
    assert said.err.count("of the warehouse w, which is in a given folder") == 1
    assert "1 file: 3 events, 1 trace" in said.err


@pytest.mark.parametrize(
    "text",
    [
        LOG.encode("utf-16"),
        "größer, 損失 {}\n".encode(),
        "größer\n".encode("latin-1"),
        "損失が発散しました\n".encode("shift-jis"),
        b"\x1b[31mred\x1b[0m\r\b 50%\a\n",
        bytes(5000) + LOG.encode(),
    ],
    ids=["utf-16", "utf-8", "latin-1", "shift-jis", "terminal", "cut while it was written"],
)
def test_every_kind_of_text_is_taken(cli: Cli, tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.log").write_bytes(text)
    assert cli("backfill", "a.log", "--warehouse", "w").code == 0


def test_what_another_runner_raises_is_a_sentence() -> None:
    with pytest.raises(TracewinnowError, match=r"the runner prism did not do it: OSError: no such host\. See that"):  # noqa: SIM117
        with submitted("prism"):
            raise RuntimeError("in step Read") from OSError("a trace\nno such host")
    with pytest.raises(BadUse, match="of our own"), submitted("prism"):
        raise BadUse("of our own")


def test_a_folder_without_files(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / ".hidden").write_text("x\n")
    said = cli("backfill", "logs", "--warehouse", "w")
    assert said.code == 2
    assert "there are no files in logs" in said.err


def test_a_full_disk_is_said_once_and_the_next_try_goes_on(log: Path, tmp_path: Path) -> None:
    log.write_bytes(random.Random(7).randbytes(300_000).hex(" ").encode())

    def backfill(limit: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tracewinnow", "backfill", "job-7.log", "--warehouse", "w"],
            cwd=tmp_path, capture_output=True, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
        )  # fmt: skip

    failed = backfill(100_000)
    assert failed.returncode == 1
    assert failed.stderr.count("File too large") == 1
    assert "(ulimit -f): raise it." in failed.stderr
    assert "Traceback" not in failed.stderr
    assert backfill(resource.RLIM_INFINITY).returncode == 0


def test_a_warehouse_that_is_not_ours(cli: Cli, log: Path) -> None:
    said = cli("backfill", "job-7.log", "--warehouse", "/proc/warehouse")
    assert said.code == 1
    assert "/proc/warehouse" in said.err
    assert "choose" in said.err

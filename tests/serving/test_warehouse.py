"""Jobs, their states and holes, as read from a warehouse on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving.conftest import SECOND, START, Writer, batch
from tracewinnow.schemas.errors import BadUse
from tracewinnow.schemas.telemetry_pb2 import Event, TelemetryBatch
from tracewinnow.serving.names import UnknownJob
from tracewinnow.serving.warehouse import Warehouse


def opened(writer: Writer) -> Warehouse:
    return Warehouse(str(writer.folder))


def test_a_crash_counts_more_than_a_stop_and_its_reason_is_told(writer: Writer) -> None:
    crashed = batch("a", 1, 0, ["working"])
    crashed.events.add(time_ns=START + 5 * SECOND).crash.message = "no memory"
    stopped = batch("a", 0, 0, ["working"])
    stopped.events.add(time_ns=START + 6 * SECOND).stop.exit_code = 0
    writer.window([crashed, stopped])
    [job] = opened(writer).jobs()
    assert (job.state, job.reason, job.ranks, job.world_size) == ("crashed", "no memory", (0, 1), 2)
    assert job.exit_code is None


def test_the_exit_code_is_that_of_the_crash(writer: Writer) -> None:
    def window(number: int) -> TelemetryBatch:
        made = batch("a", 0, 0, [], window=number, process=f"{number:032x}")
        made.world_size = 1
        return made

    def ending(made: TelemetryBatch, number: int) -> Event:
        return made.events.add(time_ns=START + (number * 60 + 1) * SECOND)

    first, second, third = map(window, range(3))
    ending(first, 0).stop.exit_code = 0
    writer.window([first])
    assert opened(writer).jobs()[0].exit_code == 0
    ending(second, 1).stop.exit_code = 3
    writer.window([second], window=1)
    assert opened(writer).jobs()[0].exit_code == 3
    ending(third, 2).crash.exit_code = 9
    writer.window([third], window=2)
    [job] = opened(writer).jobs()
    assert (job.state, job.exit_code) == ("crashed", 9)


def test_a_silent_job_is_lost_after_ten_minutes(writer: Writer) -> None:
    writer.window([batch("a", 0, 0, ["working"])])
    assert opened(writer).jobs(now_ns=START + 300 * SECOND)[0].state == "running"
    assert opened(writer).jobs(now_ns=START + 700 * SECOND)[0].state == "lost contact"


def test_a_job_that_starts_again_is_running(writer: Writer) -> None:
    ended = batch("a", 0, 0, [])
    ended.events.add(time_ns=START + SECOND).crash.message = "bad luck"
    again = batch("a", 0, 0, ["here I am"], window=1, process="f" * 32)
    again.events.add(time_ns=START + 61 * SECOND).start.cwd = "w"
    writer.window([ended])
    writer.window([again], window=1)
    assert opened(writer).jobs(now_ns=START + 70 * SECOND)[0].state == "running"


def test_the_newest_revision_counts_once(writer: Writer) -> None:
    first, second = batch("a", 0, 0, ["one"]), batch("a", 0, 1, ["two"])
    writer.window([first])
    writer.window([first, second])
    [job] = opened(writer).jobs()
    assert (job.lines, job.tokens_before, job.windows) == (2, 1000, 1)
    assert [trace.revision for trace in opened(writer).traces("a")] == [2]


def test_holes_over_windows(writer: Writer) -> None:
    writer.window([batch("a", 0, 0, ["x"]), batch("a", 0, 1, ["x"])])
    writer.window([batch("a", 0, 4, ["x"], window=1), batch("a", 1, 1, ["x"], window=1)], window=1)
    assert [str(hole) for hole in opened(writer).job("a").holes] == [
        "batches 2 to 3 of rank 0 (00000000) never came",
        "batch 0 of rank 1 (00000000) never came",
    ]


def test_names(writer: Writer) -> None:
    for name in ("llama-7b-1", "llama-7b-2", "mistral"):
        writer.window([batch(name, 0, 0, ["x"])])
    warehouse = opened(writer)
    assert warehouse.find("mis") == "mistral"
    assert warehouse.find("llama-7b-1") == "llama-7b-1"
    with pytest.raises(UnknownJob, match="begins 2 jobs: llama-7b-1, llama-7b-2"):
        warehouse.find("llama")
    with pytest.raises(UnknownJob, match=r"Did you mean mistral\?"):
        warehouse.find("mitsral")
    with pytest.raises(UnknownJob, match="holds 3"):
        warehouse.find("zzzzzz")
    with pytest.raises(UnknownJob):
        warehouse.find("")


def test_filter_and_limit(writer: Writer) -> None:
    for number in range(3):
        writer.window([batch(f"job-{number}", 0, number, ["x"])])
    warehouse = opened(writer)
    assert [job.job_id for job in warehouse.jobs(limit=2)] == ["job-2", "job-1"]
    assert warehouse.jobs(state="crashed") == []


def test_no_warehouse(tmp_path: object) -> None:
    with pytest.raises(BadUse, match="holds no warehouse"):
        Warehouse(f"{tmp_path}/nowhere")


def test_a_folder_of_something_else_is_no_warehouse(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(BadUse, match="holds no warehouse"):
        Warehouse(str(tmp_path))
    (tmp_path / "state").mkdir()  # as a stream leaves it before the first batch
    assert Warehouse(str(tmp_path)).jobs() == []


def test_job_ids_cannot_choose_a_path(writer: Writer) -> None:
    name = "../../etc/passwd\x1b[31m"
    writer.window([batch(name, 0, 0, ["x"])])
    warehouse = opened(writer)
    assert warehouse.job_ids() == [name]
    assert warehouse.traces(name)[0].job_id == name

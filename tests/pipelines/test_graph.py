"""The graph as a list of named steps: renaming one breaks the update of a running job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.unbounded_source import ReadFromUnboundedSource
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.pipelines.feed import TOPIC, Broker, batch, new_process, stored
from tracewinnow.pipelines import graph
from tracewinnow.pipelines.kafka_source import KafkaSource, Position, PositionCoder
from tracewinnow.pipelines.options import Settings, duration_ns
from tracewinnow.pipelines.run import run_here
from tracewinnow.schemas.errors import BadUse
from tracewinnow.stores.parquet_tables import connect
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.reference import Reference

STEPS = [
    "ReadKafka",
    "Decode",
    "WriteRefused",
    "Archive",
    "FireWindows/WindowByRecordTime",
    "FireWindows/FireByJobAndWindow",
    "ReadWindow",
    "WriteUnread",
    "Stages/Denoise",
    "Stages/Compress",
    "Stages/Rank",
    "WriteFailedDenoise",
    "WriteFailedCompress",
    "WriteFailedRank",
    "WriteTraces",
]


def construct(pipeline: beam.Pipeline, source: KafkaSource, settings: Settings) -> None:
    records = pipeline | "ReadKafka" >> ReadFromUnboundedSource(source, max_read_time_seconds=60)
    graph.whole(records, settings)


def test_steps_have_their_names(tmp_path: Path) -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    construct(pipeline, KafkaSource("nowhere:1", [TOPIC]), Settings(str(tmp_path)))
    names: list[str] = []

    class Visitor(beam.pipeline.PipelineVisitor):  # type: ignore[misc]
        def enter_composite_transform(self, node: Any) -> None:
            names.append(node.full_label)

        def visit_transform(self, node: Any) -> None:
            names.append(node.full_label)

    pipeline.visit(Visitor())
    ours = [n for n in names if n and not n.startswith("ReadKafka/") and n not in ("FireWindows", "Stages")]
    inner = [n for n in ours if any(n.startswith(f"{other}/") for other in ours)]  # what Beam makes of a step
    assert sorted(set(ours) - set(inner)) == sorted(STEPS)


def test_the_whole_graph_in_one_run_over_a_bounded_source(broker: Broker, tmp_path: Path) -> None:
    process = new_process()
    broker.send(*(batch("j", process, n, [f"line {n}"], crash="boom" if n == 4 else "") for n in range(5)))
    source = KafkaSource(broker.bootstrap, ranges=[[TOPIC, p, 0, len_of(broker, p)] for p in range(4)])
    counters = run_here(lambda pipeline: construct(pipeline, source, Settings(str(tmp_path))))
    assert counters["events"] == 6
    assert len(stored(tmp_path)) >= 1
    with connect(tmp_path) as tables:
        assert tables.execute("select sum(lines_before) from traces").fetchone() == (6,)


def len_of(broker: Broker, partition: int) -> int:
    from tracewinnow.pipelines import kafka_client

    return kafka_client.bounds(kafka_client.consumer(broker.bootstrap), TOPIC, partition)[1]


def test_a_stage_that_fails_costs_its_trace_a_dead_letter(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tracewinnow.transforms import dofns

    real = dofns.rank_stage

    def fails(work: Any) -> Any:
        if work.trace.job_id == "bad":
            raise ZeroDivisionError("a bug")
        return real(work)

    monkeypatch.setattr(dofns, "rank_stage", fails)
    broker.send(batch("bad", new_process(), 0, ["x"]), batch("good", new_process(), 0, ["y"]))
    source = KafkaSource(broker.bootstrap, ranges=[[TOPIC, p, 0, len_of(broker, p)] for p in range(4)])
    run_here(lambda pipeline: construct(pipeline, source, Settings(str(tmp_path))))
    assert {job for job, _, _ in stored(tmp_path)} == {"good"}
    with connect(tmp_path) as tables:
        ((stage, code, reason),) = tables.execute("select stage, code, reason from dead_letters").fetchall()
    assert (stage, code) == ("Rank", "stage-failed")
    assert "a bug" in reason
    assert "tracewinnow rebuild --job bad" in reason


def test_positions_survive_their_coder() -> None:
    mark = Position(KafkaSource("b:1", group="g", topic="t", partition=2, start=5), 17)
    found = PositionCoder().decode(PositionCoder().encode(mark))
    assert (found.offset, found.source.to_json()) == (17, mark.source.to_json())


@pytest.mark.parametrize(("text", "ns"), [("90s", 90 * 10**9), ("1.5h", 5400 * 10**9), ("250ms", 250 * 10**6)])
def test_durations(text: str, ns: int) -> None:
    assert duration_ns(text) == ns


@pytest.mark.parametrize("text", ["", "90", "ten minutes", "-5s", "5 s s"])
def test_no_durations(text: str) -> None:
    with pytest.raises(BadUse, match="duration"):
        duration_ns(text)


def test_settings_travel_to_the_builder(tmp_path: Path) -> None:
    settings = Settings("w", window_ns=10**10, tables="bq://p/d")
    assert Settings.from_json(settings.to_json()) == settings
    healthy = Reference()
    healthy.add(["00000000000000ab"])
    (tmp_path / "healthy.json").write_text(healthy.save())
    settings = Settings("w", reference=str(tmp_path / "healthy.json"), stage=Options(reference=healthy))
    assert Settings.from_json(settings.to_json()) == settings
    for wrong in ({"warehouse": ""}, {"warehouse": "w", "window_ns": 1}, {"warehouse": "w", "part_bytes": 1}):
        with pytest.raises(BadUse):
            Settings(**wrong)  # type: ignore[arg-type]

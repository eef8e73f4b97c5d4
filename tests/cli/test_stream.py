"""`tracewinnow stream` on this machine: topics that are there, and those that are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.pipelines.feed import Broker, batch, embedded_broker, new_process

STREAM = ("stream", "--warehouse", "w", "--until-idle", "1s")


@pytest.fixture
def broker() -> Iterator[Broker]:
    yield from embedded_broker()


def test_a_topic_that_is_not_there_is_said(cli: Cli, broker: Broker) -> None:
    broker.send(batch("j", new_process(), 0, ["x"], crash="over"))
    said = cli(*STREAM, "--bootstrap", broker.bootstrap, "--topics", "telemetry.gpu.v1,telemetry.gqu.v1")
    assert said.code == 2
    assert "the broker has no topic telemetry.gqu.v1: make it first, or name" in said.err
    assert not list(Path("w").glob("state/stream.json"))  # a run that goes on there is left alone
    assert cli(*STREAM, "--bootstrap", broker.bootstrap, "--topics", "telemetry.gpu.v1").code == 0


def test_topics_that_nobody_named_may_come_later(cli: Cli, broker: Broker) -> None:
    said = cli(*STREAM, "--bootstrap", broker.bootstrap)
    assert said.code == 0
    assert "none of telemetry.tpu.v1, telemetry.gpu.v1, telemetry.cpu.v1 yet: waiting for the first job" in said.err
    broker.send(batch("j", new_process(), 0, ["x"], crash="over"))
    said = cli(*STREAM, "--bootstrap", broker.bootstrap)
    assert said.code == 0
    assert "waiting" not in said.err
    assert "built 1 trace" in said.err

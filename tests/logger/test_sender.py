"""From the outbox to a real broker."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tracewinnow.logger import outbox
from tracewinnow.logger.sender import HEADERS, Sender
from tracewinnow.schemas import telemetry_pb2 as pb
from tracewinnow.schemas.errors import BadInput

UUID = "d" * 32
TOPIC = "telemetry.gpu.v1"


def fill(directory: Path, count: int) -> list[bytes]:
    box = outbox.Outbox(directory, UUID)
    batches = []
    for sequence in range(count):
        batch = pb.TelemetryBatch(job_id="job", process_uuid=UUID, sequence=sequence, model="m" * (sequence % 1000))
        batches.append(batch.SerializeToString())
        box.append(sequence, (1_700_000_000_000 + sequence) * 1_000_000, b"{}", batches[-1])
    return batches


def test_every_batch_arrives_in_order(tmp_path: Path, broker: Any) -> None:
    batches = fill(tmp_path, 500)
    sender = Sender(tmp_path, UUID, broker.address, TOPIC, "job", 0)
    assert sender.flush(20)
    assert (sender.acked, outbox.load_acked(tmp_path, UUID)) == (500, 500)
    messages = broker.messages(TOPIC, 500)
    assert [message.value() for message in messages] == batches
    assert {message.key() for message in messages} == {b"job"}
    assert {tuple(message.headers()) for message in messages} == {tuple(HEADERS)}
    assert [message.timestamp()[1] for message in messages] == [1_700_000_000_000 + n for n in range(500)]
    assert len({message.partition() for message in messages}) == 1


def test_it_goes_on_from_the_acknowledged_position(tmp_path: Path, broker: Any) -> None:
    batches = fill(tmp_path, 20)
    assert Sender(tmp_path, UUID, broker.address, TOPIC, "job", 15).flush(20)
    assert [message.value() for message in broker.messages(TOPIC, 5)] == batches[15:]


def test_a_range_is_sent_again_and_the_position_stays(tmp_path: Path, broker: Any) -> None:
    batches = fill(tmp_path, 20)
    outbox.save_acked(tmp_path, UUID, 20)
    sender = Sender(tmp_path, UUID, broker.address, TOPIC, "job", 3, 6)
    assert sender.flush(20)
    assert sender.acknowledged == 3
    assert outbox.load_acked(tmp_path, UUID) == 20
    assert [message.value() for message in broker.messages(TOPIC, 3)] == batches[3:6]


def test_what_was_deleted_is_no_hole_for_ever(tmp_path: Path, broker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SEGMENT_BYTES", 300)
    fill(tmp_path, 20)
    outbox.files(tmp_path, UUID)[0].unlink()
    sender = Sender(tmp_path, UUID, broker.address, TOPIC, "job", 0)
    assert sender.flush(20)
    assert sender.acked == 20


def test_a_dead_broker_costs_a_bounded_time(tmp_path: Path, dead_port: str) -> None:
    fill(tmp_path, 100)
    sender = Sender(tmp_path, UUID, dead_port, TOPIC, "job", 0)
    began = time.monotonic()
    assert not sender.flush(1.0)
    assert time.monotonic() - began < 5
    assert sender.acked == 0
    assert sender.error


def test_a_port_that_librdkafka_would_wrap_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"bad-bootstrap: the port of .127\.0\.0\.1:99999"):
        Sender(tmp_path, UUID, "127.0.0.1:99999", TOPIC, "job", 0)


def test_damage_is_told(tmp_path: Path, broker: Any) -> None:
    fill(tmp_path, 5)
    path = outbox.files(tmp_path, UUID)[0]
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadInput, match="corrupt-outbox"):
        Sender(tmp_path, UUID, broker.address, TOPIC, "job", 0).flush(5)

"""Confluent framing, with the official client and its registry in memory (mock://)."""

from __future__ import annotations

import base64
import http.server
import os
import pickle
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracewinnow.schemas import telemetry_pb2
from tracewinnow.schemas.errors import BadInput, Transient
from tracewinnow.schemas.registry import SchemaRegistry, first_message
from tracewinnow.schemas.telemetry_pb2 import TelemetryBatch
from tracewinnow.schemas.validate import decode

PROTO = (Path(telemetry_pb2.__file__).parent / "telemetry.proto").read_text()
BATCH = TelemetryBatch(job_id="job", sequence=3)


@pytest.fixture
def registry() -> SchemaRegistry:
    """An empty one, and the official client to register with as `_connect()`."""
    try:
        import confluent_kafka.schema_registry  # noqa: F401
    except ModuleNotFoundError:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "run `make setup`: the extra `registry` is not installed"
        )
    return SchemaRegistry(f"mock://{uuid.uuid4().hex}")


def register(registry: SchemaRegistry, text: str, kind: str = "PROTOBUF") -> int:
    from confluent_kafka.schema_registry import Schema

    return int(registry._connect().register_schema("telemetry.gpu.v1-value", Schema(text, kind)))


def framed(schema_id: int, path: bytes = b"\0") -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + path + BATCH.SerializeToString()


def test_a_framed_batch(registry: SchemaRegistry) -> None:
    schema_id = register(registry, PROTO)
    assert decode(framed(schema_id), {}, registry) == BATCH
    assert decode(framed(schema_id), {}, registry) == BATCH  # remembered
    assert decode(BATCH.SerializeToString(), {}, registry) == BATCH  # plain, beside it


def test_what_the_official_serializer_registers(registry: SchemaRegistry) -> None:
    """It sends the descriptor in base64."""
    schema_id = register(registry, base64.b64encode(telemetry_pb2.DESCRIPTOR.serialized_pb).decode())
    assert decode(framed(schema_id), {}, registry) == BATCH


def test_another_schema(registry: SchemaRegistry) -> None:
    for text, kind in (
        ('syntax = "proto3"; package other; message TelemetryBatch {}', "PROTOBUF"),
        ('"string"', "AVRO"),
    ):
        with pytest.raises(BadInput, match="does not begin with tracewinnow") as raised:
            decode(framed(register(registry, text, kind)), {}, registry)
        assert raised.value.code == "other-schema"


def test_an_unknown_schema(registry: SchemaRegistry) -> None:
    with pytest.raises(BadInput, match="knows no schema 77") as raised:
        decode(framed(77), {}, registry)
    assert raised.value.code == "unknown-schema"


def test_bad_frames(registry: SchemaRegistry) -> None:
    schema_id = register(registry, PROTO)
    for value in (b"\0", b"\0\0\0", framed(schema_id)[:5], framed(schema_id, b"\x02\x02")):
        with pytest.raises(BadInput, match="frame"):
            decode(value, {}, registry)


def test_it_travels(registry: SchemaRegistry) -> None:
    schema_id = register(registry, PROTO)
    assert registry.is_batch(schema_id)
    assert pickle.loads(pickle.dumps(registry)).is_batch(schema_id)


def test_no_registry_is_configured() -> None:
    with pytest.raises(BadInput, match="framed for a schema registry, and this pipeline is given none"):
        decode(framed(1), {})


@pytest.fixture
def failing_server() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("registry")
def test_a_registry_that_fails_is_transient(failing_server: str) -> None:
    for url in (failing_server, "http://127.0.0.1:9"):
        with pytest.raises(Transient, match="schema registry"):
            SchemaRegistry(url, {"max.retries": 0}).is_batch(1)


def test_first_message() -> None:
    assert first_message(PROTO) == "tracewinnow.v1.TelemetryBatch"
    assert first_message("// message X\n/* message Y */ package p; \n message Z {}") == "p.Z"
    for nothing in ("", "AAAA", "not a schema", "package p;"):
        assert first_message(nothing) == ""

"""A Confluent schema registry: which schemas are our TelemetryBatch. Needs the extra `registry`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from tracewinnow.schemas.errors import BadInput, BadUse, Transient

_MESSAGE = re.compile(r"^\s*message\s+(\w+)", re.MULTILINE)
_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
REMEMBERED = 10_000  # schema ids; a sender chooses them, so there may be any number
TIMEOUT = 10  # seconds for an answer


class SchemaRegistry:
    """A registry at a URL ("mock://name" is one in memory). options: more settings of the client, such as credentials.

    Each id is asked for once; an unknown one is asked for again, as it may be registered later. Picklable.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.url, self.options = url, dict(options or {})
        self._known: dict[int, bool] = {}
        self._client: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}  # connections do not travel

    def is_batch(self, schema_id: int) -> bool:
        """Whether the schema's first message is tracewinnow.v1.TelemetryBatch. Blocks on the first use of an id.

        Raises BadInput for an id that the registry does not know, Transient where it does not answer.
        """
        known = self._known.get(schema_id)
        if known is None:
            known = first_message(self._schema(schema_id)) == "tracewinnow.v1.TelemetryBatch"
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[schema_id] = known
        return known

    def _schema(self, schema_id: int) -> str:
        client = self._connect()
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        try:
            found = client.get_schema(schema_id)
        except SchemaRegistryError as refused:
            if refused.http_status_code == 404:
                raise BadInput("unknown-schema", f"the schema registry knows no schema {schema_id}") from None
            if refused.http_status_code in (401, 403):
                raise BadUse(f"The schema registry at {self.url} refuses this pipeline: {refused}") from refused
            raise Transient(f"The schema registry at {self.url} failed: {refused}") from refused
        except Exception as failed:  # what its HTTP library raises comes through as it is
            raise Transient(f"The schema registry at {self.url} does not answer: {failed}") from failed
        return str(found.schema_str) if found.schema_type == "PROTOBUF" else ""

    def _connect(self) -> Any:
        if self._client is None:
            try:
                from confluent_kafka.schema_registry import SchemaRegistryClient
            except ModuleNotFoundError as missing:
                raise BadUse(
                    f"A schema registry needs {missing.name}: pip install 'tracewinnow[registry]'"
                ) from missing
            # new_client knows mock://, which the constructor does not.
            self._client = SchemaRegistryClient.new_client({"url": self.url, "timeout": TIMEOUT, **self.options})
        return self._client


def first_message(schema: str) -> str:
    """The full name of the first message of a schema: .proto text, or a FileDescriptorProto in base64. "" for neither."""
    try:
        file = FileDescriptorProto.FromString(base64.b64decode(schema, validate=True))
        return f"{file.package}.{file.message_type[0].name}" if file.message_type else ""
    except (ValueError, DecodeError):
        pass  # then it is text
    text = _COMMENT.sub("", schema)
    package, message = _PACKAGE.search(text), _MESSAGE.search(text)
    return f"{package[1]}.{message[1]}" if package and message else ""

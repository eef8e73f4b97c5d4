"""The generated code is what the compiler makes of the contracts today."""

from __future__ import annotations

import re

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from tracewinnow.schemas.compatibility import MODULES

from .conftest import SCHEMAS, Compile

ADVICE = "run `make proto`"


def without_json_names(file: FileDescriptorProto) -> FileDescriptorProto:
    """Some compilers write the names that JSON would have, which follow from the others."""

    def clear(message: DescriptorProto) -> None:
        for field in message.field:
            field.ClearField("json_name")
        for inner in message.nested_type:
            clear(inner)

    for message in file.message_type:
        clear(message)
    return file


def test_descriptors_are_current(compile_protos: Compile) -> None:
    compiled = {file.name: without_json_names(file) for file in compile_protos().file}
    generated = {}
    for module in MODULES:
        file = FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        generated[file.name] = without_json_names(file)
    assert generated == compiled, ADVICE
    assert {f"{path.stem}_pb2.py" for path in SCHEMAS.glob("*.proto")} == {p.name for p in SCHEMAS.glob("*_pb2.py")}


def test_type_hints_are_current(compile_protos: Compile) -> None:
    for file in compile_protos().file:
        path = SCHEMAS / file.name.rpartition("/")[2].replace(".proto", "_pb2.pyi")
        text = path.read_text()
        for message in file.message_type:
            hints = re.search(rf"^class {message.name}\(.*?(?=^class |\Z)", text, re.DOTALL | re.MULTILINE)
            assert hints, f"{path} lacks {message.name}: {ADVICE}"
            for field in message.field:
                assert re.search(rf"^    {field.name}: ", hints[0], re.MULTILINE), (
                    f"{path} lacks {field.name}: {ADVICE}"
                )

"""Contracts only grow: BACKWARD_TRANSITIVE against every released version, which stand under `released/`.

A reader of today must read what any release wrote, and tables are named after fields: so no field, enum value or message goes
away, and none changes its number, name, type, cardinality or oneof. New ones may come, on numbers that were never used.

    python -m tracewinnow.schemas.compatibility             # exit code 1, and what is wrong, where something is
    python -m tracewinnow.schemas.compatibility release     # keep the contracts of today as those of this version
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from tracewinnow.schemas import dead_letter_pb2, feedback_pb2, telemetry_pb2, trace_pb2
from tracewinnow.version import VERSION

RELEASED = Path(__file__).parent / "released"
MODULES = (dead_letter_pb2, feedback_pb2, telemetry_pb2, trace_pb2)


def current() -> FileDescriptorSet:
    """The contracts of this software."""
    found = FileDescriptorSet()
    for module in MODULES:
        found.file.append(FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb))
    return found


def released() -> dict[str, FileDescriptorSet]:
    """Version -> its contracts, for every version that was released."""
    return {path.stem: FileDescriptorSet.FromString(path.read_bytes()) for path in sorted(RELEASED.glob("*/*.binpb"))}


def problems(old: FileDescriptorSet, new: FileDescriptorSet) -> list[str]:
    """What a reader with `new` cannot do with data of `old`, or would take for something else; empty where all is well."""
    found: list[str] = []
    now_messages, now_enums = _messages(new), _enums(new)
    for name, message in _messages(old).items():
        if name not in now_messages:
            found.append(f"message {name} is gone")
        else:
            found += _message_problems(name, message, now_messages[name])
    for name, enum in _enums(old).items():
        if name not in now_enums:
            found.append(f"enum {name} is gone")
        else:
            found += _enum_problems(name, enum, now_enums[name])
    return found


def _message_problems(name: str, old: DescriptorProto, new: DescriptorProto) -> Iterator[str]:
    by_number = {field.number: field for field in new.field}
    by_name = {field.name: field for field in new.field}
    for field in old.field:
        here = f"{name}.{field.name} = {field.number}"
        now = by_number.get(field.number)
        if field.name in by_name and by_name[field.name].number != field.number:
            yield f"{here} has moved to number {by_name[field.name].number}"
        elif now is None:
            yield f"{here} is gone"
        elif now.name != field.name:
            yield f"{here} is now named {now.name}"
        else:
            for what, before, after in _traits(field, old, now, new):
                if before != after:
                    yield f"{here} has changed its {what} from {before} to {after}"
    if old.options.map_entry != new.options.map_entry:
        yield f"{name} is a map entry in one version only"
    yield from _reuse(name, old, new, [(field.name, field.number) for field in new.field], past_end=0)


def _enum_problems(name: str, old: EnumDescriptorProto, new: EnumDescriptorProto) -> Iterator[str]:
    by_number = {value.number: value.name for value in new.value}
    for value in old.value:
        now = by_number.get(value.number)
        if now != value.name:
            yield f"{name}.{value.name} = {value.number} is " + (f"now named {now}" if now else "gone, or has moved")
    yield from _reuse(name, old, new, [(value.name, value.number) for value in new.value], past_end=1)


def _traits(
    old: FieldDescriptorProto, old_in: DescriptorProto, new: FieldDescriptorProto, new_in: DescriptorProto
) -> Iterator[tuple[str, str, str]]:
    """(what, before, after) of everything that must stay."""
    kind, label = FieldDescriptorProto.Type.Name, FieldDescriptorProto.Label.Name
    yield "type", old.type_name or kind(old.type), new.type_name or kind(new.type)
    yield "cardinality", label(old.label), label(new.label)
    yield "presence", _presence(old), _presence(new)
    yield "oneof", _oneof(old, old_in), _oneof(new, new_in)


def _presence(field: FieldDescriptorProto) -> str:
    return "optional" if field.proto3_optional else "implicit"


def _oneof(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    # An optional field stands in a oneof of its own that nobody wrote.
    if not field.HasField("oneof_index") or field.proto3_optional:
        return "none"
    return message.oneof_decl[field.oneof_index].name


def _reuse(
    name: str,
    old: DescriptorProto | EnumDescriptorProto,
    new: DescriptorProto | EnumDescriptorProto,
    used: list[tuple[str, int]],
    past_end: int,
) -> Iterator[str]:
    """Numbers and names that `old` reserved stay so. past_end: 1 where the end of a range belongs to it, as in enums."""
    for field, number in used:
        if any(span.start <= number < span.end + past_end for span in old.reserved_range):
            yield f"{name}.{field} uses number {number}, which is reserved"
        if field in old.reserved_name:
            yield f"{name}.{field} uses a name that is reserved"
    kept = {number for span in new.reserved_range for number in (span.start, span.end)}
    if any({span.start, span.end} - kept for span in old.reserved_range) or set(old.reserved_name) - set(
        new.reserved_name
    ):
        yield f"{name} no longer reserves what it did"


def _messages(files: FileDescriptorSet) -> dict[str, DescriptorProto]:
    found: dict[str, DescriptorProto] = {}

    def visit(prefix: str, message: DescriptorProto) -> None:
        found[f"{prefix}.{message.name}"] = message
        for inner in message.nested_type:
            visit(f"{prefix}.{message.name}", inner)

    for file in files.file:
        for message in file.message_type:
            visit(file.package, message)
    return found


def _enums(files: FileDescriptorSet) -> dict[str, EnumDescriptorProto]:
    found = {f"{file.package}.{enum.name}": enum for file in files.file for enum in file.enum_type}
    for name, message in _messages(files).items():
        found.update({f"{name}.{enum.name}": enum for enum in message.enum_type})
    return found


def main(arguments: list[str]) -> int:
    """See the head of this file."""
    if arguments == ["release"]:
        path = RELEASED / "v1" / f"{VERSION}.binpb"
        if path.exists():
            print(f"{path} is there already: a released version never changes", file=sys.stderr)
            return 1
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(current().SerializeToString(deterministic=True))
        return 0
    if arguments:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    wrong = [f"since {version}: {text}" for version, old in released().items() for text in problems(old, current())]
    print("\n".join(wrong) or f"compatible with {', '.join(released()) or 'no release'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

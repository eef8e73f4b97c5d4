"""The protobuf compiler over the contracts, changed or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

SCHEMAS = Path(__file__).parents[2] / "schemas"
Compile = Callable[..., FileDescriptorSet]


@pytest.fixture
def compile_protos(tmp_path: Path) -> Compile:
    """compile_protos((before, after), ...) -> the contracts compiled with these replacements made in their text."""

    def run(*changes: tuple[str, str]) -> FileDescriptorSet:
        from grpc_tools import protoc

        folder = tmp_path / "tracewinnow/schemas"
        folder.mkdir(parents=True, exist_ok=True)
        missing = dict(changes)
        names = []
        for source in sorted(SCHEMAS.glob("*.proto")):
            text = source.read_text()
            for before, after in changes:
                if before in text:
                    missing.pop(before, None)
                    text = text.replace(before, after, 1)
            (folder / source.name).write_text(text)
            names.append(f"tracewinnow/schemas/{source.name}")
        assert not missing, f"the contracts no longer say {list(missing)}: change the test"
        out = tmp_path / "set.binpb"
        assert protoc.main(["protoc", f"-I{tmp_path}", f"--descriptor_set_out={out}", *names]) == 0
        return FileDescriptorSet.FromString(out.read_bytes())

    return run

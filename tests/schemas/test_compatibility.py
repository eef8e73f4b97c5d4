"""The contracts are compatible with every release, and the check sees each way to break them."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tracewinnow.schemas import compatibility
from tracewinnow.schemas.compatibility import current, main, problems, released

from .conftest import Compile


def test_the_contracts_are_compatible_with_every_release() -> None:
    assert released(), "no release is kept under schemas/released"
    for version, old in released().items():
        assert problems(old, current()) == [], f"since {version}"


def test_every_release_holds_the_contracts() -> None:
    for files in released().values():
        assert {file.package for file in files.file} == {"tracewinnow.v1"}
        assert sum(len(file.message_type) for file in files.file) > 10


BAD = {
    "removed": ("  string sender = 12;", "", "TelemetryBatch.sender = 12 is gone"),
    "removed and reserved": (
        "  string sender = 12;",
        "  reserved 12; reserved 'sender';",
        "TelemetryBatch.sender = 12 is gone",
    ),
    "renumbered": ("string sender = 12;", "string sender = 14;", "TelemetryBatch.sender = 12 has moved to number 14"),
    "renamed": ("string sender = 12;", "string agent = 12;", "TelemetryBatch.sender = 12 is now named agent"),
    "number reused": ("string sender = 12;", "bytes extra = 12;", "TelemetryBatch.sender = 12 is now named extra"),
    "type": ("uint64 sequence = 3;", "int32 sequence = 3;", "changed its type from TYPE_UINT64 to TYPE_INT32"),
    "bytes to string": ("bytes text = 1;", "string text = 1;", "LogLine.text = 1 has changed its type"),
    "message type": ("LogLine log = 2;", "JobStop log = 2;", "from .tracewinnow.v1.LogLine to .tracewinnow.v1.JobStop"),
    "enum to number": ("Accelerator accelerator = 5;", "int32 accelerator = 5;", "to TYPE_INT32"),
    "repeated": ("string model = 6;", "repeated string model = 6;", "from LABEL_OPTIONAL to LABEL_REPEATED"),
    "single": ("repeated Metric metrics = 2;", "Metric metrics = 2;", "from LABEL_REPEATED to LABEL_OPTIONAL"),
    "presence": ("optional int32 rank = 10;", "int32 rank = 10;", "its presence from optional to implicit"),
    "map": ("map<string, string> labels = 13;", "map<string, bytes> labels = 13;", "LabelsEntry.value = 2 has changed"),
    "into a oneof": (
        "  int64 time_ns = 1;  // Unix time\n  oneof kind {",
        "  oneof kind {\n    int64 time_ns = 1;",
        "to kind",
    ),
    "out of a oneof": (
        "  oneof kind {\n    LogLine log = 2;",
        "  LogLine log = 2;\n  oneof kind {",
        "from kind to none",
    ),
    "oneof renamed": ("oneof kind {", "oneof payload {", "its oneof from kind to payload"),
    "enum value removed": ("  STREAM_FILE = 5;", "", "Stream.STREAM_FILE = 5 is gone"),
    "enum renumbered": ("STREAM_FILE = 5;", "STREAM_FILE = 6;", "STREAM_FILE = 5 is gone, or has moved"),
    "enum swapped": (
        "ACCELERATOR_TPU = 1;\n  ACCELERATOR_GPU = 2;",
        "ACCELERATOR_GPU = 1;\n  ACCELERATOR_TPU = 2;",
        "now named",
    ),
    "message renamed": ("message JobStop {", "message JobEnd {", "message tracewinnow.v1.JobStop is gone"),
    "nested field": ("  uint64 first = 3;\n  uint64 last = 4;", "  uint64 first = 3;", "ProcessRange.last = 4 is gone"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_changes_are_seen(name: str, compile_protos: Compile) -> None:
    before, after, expected = BAD[name]
    old = compile_protos()
    changes = [(before, after)]
    if name == "message renamed":
        changes.append(("JobStop stop = 9;", "JobEnd stop = 9;"))
    found = problems(old, compile_protos(*changes))
    assert any(expected in text for text in found), found
    assert any(problems(release, compile_protos(*changes)) for release in released().values())


GOOD = {
    "new field": ("  string sender = 12;", "  string sender = 12;\n  string zone = 99;"),
    "new in a oneof": ("    JobCrash crash = 10;", "    JobCrash crash = 10;\n    string remark = 99;"),
    "new enum value": ("  STREAM_FILE = 5;", "  STREAM_FILE = 5;\n  STREAM_SYSLOG = 99;"),
    "new message": ("message JobStop {", "message New { int32 a = 1; }\nmessage JobStop {"),
    "order": ("  string host = 8;\n  uint32 pid = 9;", "  uint32 pid = 9;\n  string host = 8;"),
    "comments": ("// Unix time; the record time.", "// Another word for it."),
    "reserved": ("  string sender = 12;", "  string sender = 12;\n  reserved 500 to 510;"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_changes_pass(name: str, compile_protos: Compile) -> None:
    assert problems(compile_protos(), compile_protos(GOOD[name])) == []


def test_what_was_reserved_stays_so(compile_protos: Compile) -> None:
    sender, stream = "  string sender = 12;", "  STREAM_FILE = 5;"
    old = compile_protos(
        (sender, sender + "\n  reserved 50 to 52; reserved 'zone';"), (stream, stream + "\n  reserved 9;")
    )
    for changes, expected in (
        ([(sender, sender + "\n  string fresh = 52;")], "fresh uses number 52, which is reserved"),
        ([(sender, sender + "\n  string zone = 99;")], "zone uses a name that is reserved"),
        ([(stream, stream + "\n  STREAM_NEW = 9;")], "STREAM_NEW uses number 9, which is reserved"),
        ([], "TelemetryBatch no longer reserves what it did"),
    ):
        found = problems(old, compile_protos(*changes))
        assert any(expected in text for text in found), found


def test_the_command_line(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "compatible with 0.1.0" in capsys.readouterr().out
    assert main(["--help"]) == 2
    assert main(["release"]) == 1, "a released version never changes"
    monkeypatch.setattr(compatibility, "RELEASED", tmp_path)
    assert main(["release"]) == 0
    assert [files == current() for files in released().values()] == [True]
    broken = FileDescriptorSet()
    broken.CopyFrom(current())
    broken.file[0].message_type[0].field.add(name="gone", number=999, type="TYPE_INT32", label="LABEL_OPTIONAL")
    (tmp_path / "v1/0.0.9.binpb").write_bytes(broken.SerializeToString())
    assert main([]) == 1
    assert "since 0.0.9: tracewinnow.v1.DeadLetter.gone = 999 is gone" in capsys.readouterr().out

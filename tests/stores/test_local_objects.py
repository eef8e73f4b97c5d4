"""Files: crashes, full disks and folders of others leave no half object."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tracewinnow.stores.errors import StoreError
from tracewinnow.stores.local_objects import TEMPORARY, LocalObjects


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """The limit on a file's size makes write(2) fail half way, as a full disk does."""
    script = """
import resource, sys
from tracewinnow.stores.local_objects import LocalObjects
store = LocalObjects(sys.argv[1])
store.put("name", b"before")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store.put("name", b"x" * 1_000_000)
"""
    child = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)
    assert child.returncode == 1
    assert "StoreError: File too large" in child.stderr
    assert "ulimit -f" in child.stderr
    assert LocalObjects(tmp_path).get("name") == b"before"
    assert [path.name for path in files(tmp_path)] == ["name"]


def test_no_space_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left on device: .*name\. The disk is full: make room"):
        LocalObjects(tmp_path).put("name", b"x")
    assert files(tmp_path) == []


def test_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    """In a process that is not root, for which no folder is read-only."""
    tmp_path.chmod(0o555)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setegid(65534)
                os.seteuid(65534)
            LocalObjects(tmp_path / "store").put("name", b"x")
        except StoreError as refused:
            code = 0 if "choose a folder that you own" in str(refused) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    tmp_path.chmod(0o755)
    assert files(tmp_path) == []


def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreError, match="a file: choose another folder"):
        LocalObjects(tmp_path / "file" / "store").put("name", b"x")
    store = LocalObjects(tmp_path)
    with pytest.raises(StoreError):
        store.put("file/name", b"x")
    assert [info.name for info in store.list()] == ["file"]


def test_kill_at_any_moment_leaves_whole_objects(tmp_path: Path) -> None:
    script = """
import sys
from tracewinnow.stores.local_objects import LocalObjects
store = LocalObjects(sys.argv[1])
print("ready", flush=True)
for turn in range(1_000_000):
    store.put(f"folder-{turn % 7}/object-{turn % 50}", bytes([turn % 256]) * 3_000_000, if_absent=turn % 2 == 0)
"""
    store = LocalObjects(tmp_path)
    left = 0
    for moment in range(6):
        with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(0.02 + 0.037 * moment)
            child.send_signal(signal.SIGKILL)
        left += len(list((tmp_path / TEMPORARY).iterdir()))
    objects = list(store.list())
    assert objects
    for name, size in objects:
        data = store.get(name)
        assert size == 3_000_000
        assert data == data[:1] * 3_000_000
    assert left, "no process was killed inside a put: the test shows nothing"


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / TEMPORARY
    folder.mkdir()
    for name, age in (("old", 2 * 24 * 3600), ("young", 60)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age,) * 2)
    LocalObjects(tmp_path).put("name", b"x")
    assert [path.name for path in folder.iterdir()] == ["young"]


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store = LocalObjects(tmp_path)
    assert store.put("name", b"first", if_absent=True) is True
    assert store.put("name", b"second", if_absent=True) is False
    assert store.get("name") == b"first"
    assert [path.name for path in files(tmp_path)] == ["name"]

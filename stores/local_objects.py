"""Objects as files under one folder."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tracewinnow.schemas.errors import BadUse, Transient
from tracewinnow.stores.errors import NotFound, StoreError
from tracewinnow.stores.objects import ObjectInfo, check_name

TEMPORARY = ".tmp"  # a folder of the root: what a killed process left is in one place
STALE_SECONDS = 24 * 3600

_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_MAY_PASS = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE)
_HELP = {
    errno.ENOSPC: "The disk is full: make room, then run it again.",
    errno.EDQUOT: "The disk quota is used up: make room, then run it again.",
    errno.EFBIG: "The file would be larger than the limit of this process (ulimit -f): raise it.",
    errno.EACCES: "This user may not: choose a folder that you own, or ask for the right.",
    errno.EPERM: "This user may not: choose a folder that you own, or ask for the right.",
    errno.EROFS: "It is mounted read-only: choose another folder.",
    errno.ENOTDIR: "A part of the path is a file: choose another folder.",
}


class LocalObjects:
    """An ObjectStore under the folder `root`, which the first put makes.

    A put writes a temporary file, fsyncs it, renames it and fsyncs the folder: after a crash at any moment the object
    is there whole, or not at all, and what `put` has returned from survives a power cut.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        if not os.fspath(root):
            raise BadUse("Give the folder of the store; an empty path names none.")
        self.root = Path(root).absolute()
        self._swept = False

    def __repr__(self) -> str:
        return f"LocalObjects({str(self.root)!r})"

    def put(self, name: str, data: bytes, *, if_absent: bool = False) -> bool:
        target = self._path(name)
        with _clear_errors(target, reading=False):
            if if_absent and target.exists():
                return False
            temporary = self._temporary()
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
                with open(descriptor, "wb", buffering=0) as file:
                    rest = memoryview(data)
                    while rest:
                        rest = rest[file.write(rest) :]
                    os.fsync(descriptor)
                made = _make_folder(target.parent)
                written = _move_if_absent(temporary, target) if if_absent else _move(temporary, target)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
            for folder in (target.parent, *made):
                _fsync_folder(folder)
            return written

    def get(self, name: str) -> bytes:
        path = self._path(name)
        with _clear_errors(path):
            return path.read_bytes()

    def get_range(self, name: str, start: int, length: int) -> bytes:
        path = self._path(name)
        with _clear_errors(path), open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            wanted = max(0, min(length, size - start))
            parts = []
            while wanted:
                part = os.pread(file.fileno(), wanted, start)
                if not part:
                    break
                parts.append(part)
                start += len(part)
                wanted -= len(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        folder, _, _ = prefix.rpartition("/")
        yield from self._walk(folder, prefix)

    def folders(self, prefix: str = "") -> Iterator[str]:
        folder = self.root / check_name(prefix.rstrip("/")) if prefix else self.root
        for entry in _entries(folder):
            if entry.is_dir():
                yield entry.name

    def delete(self, name: str) -> None:
        path = self._path(name)
        with _clear_errors(path), suppress(*_MISSING):
            path.unlink()

    def exists(self, name: str) -> bool:
        path = self._path(name)
        with _clear_errors(path):
            return path.is_file()

    def _path(self, name: str) -> Path:
        return self.root / check_name(name)

    def _walk(self, folder: str, prefix: str) -> Iterator[ObjectInfo]:
        """Depth first; a folder sorts as its name with "/", so that the order is that of the whole names."""
        inside = folder + "/" if folder else ""
        for entry in _entries(self.root / check_name(folder) if folder else self.root):
            name = inside + entry.name
            if entry.is_dir():
                if (name + "/").startswith(prefix[: len(name) + 1]):
                    yield from self._walk(name, prefix)
            elif name.startswith(prefix):
                with suppress(FileNotFoundError):  # deleted since it was listed
                    yield ObjectInfo(name, entry.stat().st_size)

    def _temporary(self) -> Path:
        folder = self.root / TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        if not self._swept:
            self._swept = True
            _sweep(folder)
        return folder / secrets.token_hex(12)


def _make_folder(folder: Path) -> list[Path]:
    """Make the folder and those above it; returns the parents of the new ones, which must be fsynced."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return [path.parent for path in missing]


def _move(temporary: Path, target: Path) -> bool:
    os.replace(temporary, target)
    return True


def _move_if_absent(temporary: Path, target: Path) -> bool:
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError as failed:
        if failed.errno not in _NO_LINKS:
            raise
        # A file system without hard links: two writers at once may both write, which is why names hold their content.
        if target.exists():
            return False
        os.replace(temporary, target)
    return True


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What stands in a folder without what begins with a dot, in the order of whole names; none without a folder."""
    with _clear_errors(folder):
        try:
            found = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
        except _MISSING:
            return []
    return sorted(found, key=lambda entry: entry.name + "/" if entry.is_dir() else entry.name)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left; a put takes seconds, so a day is safe."""
    oldest = time.time() - STALE_SECONDS
    for entry in os.scandir(folder):
        with suppress(OSError):
            if entry.stat().st_mtime < oldest:
                os.unlink(entry.path)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as failed:
        if failed.errno not in (errno.EINVAL, errno.EROFS):  # file systems that cannot fsync a folder
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _clear_errors(path: Path, *, reading: bool = True) -> Iterator[None]:
    """An OSError becomes an error of the tree that says what to do."""
    try:
        yield
    except OSError as failed:
        if reading and isinstance(failed, _MISSING):
            raise NotFound(f"No object at {path}.") from failed
        text = f"{failed.strerror or failed}: {path}. {_HELP.get(failed.errno or 0, '')}".rstrip()
        raise (Transient if failed.errno in _MAY_PASS else StoreError)(text) from failed

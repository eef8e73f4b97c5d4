"""Results on their way out: every byte of standard output or an error, and files whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tracewinnow.schemas.errors import BadUse

STDOUT = "standard output"


class _Stdout(io.FileIO):
    """Standard output, which says in an error that it was it."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as failed:
            failed.filename = STDOUT
            raise


def whole_stdout() -> None:
    """Make sys.stdout write every byte or raise an OSError that names it.

    Unbuffered (PYTHONUNBUFFERED, python -u) it would write once, and drop without a word what a full disk did not take.
    """
    out = sys.stdout
    if type(out) is not io.TextIOWrapper or out.closed or out.fileno() != 1:  # closed, or somebody's own
        return
    out.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Stdout(1, "wb", closefd=False)),
        encoding=out.encoding,
        errors=out.errors,
        line_buffering=out.line_buffering,
        write_through=out.write_through,
    )


def drop_stdout() -> None:
    """Nothing can be written any more, and what is still held must not be tried again when Python ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def binary_stdout() -> Iterator[BinaryIO]:
    """Standard output for bytes, which are out at the end. Raises BadUse where it is closed."""
    if sys.stdout is None:
        raise BadUse("standard output is closed: give it somewhere to go")
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def target_of(path: str | os.PathLike[str]) -> Path:
    """Where a file is written: a link stays, what it names is replaced. Raises BadUse where there is no folder for it."""
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise BadUse(f"there is no folder {target.parent} to write {path} in")
    return target


@contextlib.contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Where to write what shall be the file `path`: it is there whole or not at all, and until then what was there stays.

    What is no plain file, such as a pipe, is written itself. An OSError names `path`, whatever is written meanwhile. Raises BadUse
    where it is a folder, or there is none for it.
    """
    temporary = target = target_of(path)
    if target.is_dir():
        raise BadUse(f"{path} is a folder: give the name of a file")
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            temporary = target = Path(path)
            yield target
            return
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        number, name = tempfile.mkstemp(prefix=".tracewinnow-", dir=target.parent)
        temporary = Path(name)
        try:
            yield temporary
            os.fsync(number)
            os.chmod(temporary, mode)  # as any new file; a temporary one is the owner's alone
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(number)
    except OSError as failed:
        if failed.filename not in (None, str(temporary), str(target)) and temporary != target:
            raise  # of another file
        text = os.strerror(failed.errno) if failed.errno else str(failed)
        raise OSError(failed.errno or 0, text, str(path)) from failed


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""The shipped models: files of arrays, named with their checksums in a manifest, read without running anything from them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).parent / "artifacts"
LARGEST = 64 << 20  # bytes of a file


class ModelUnavailable(Exception):
    """A model cannot be loaded: what is wrong, and that the rules answer in its place."""


def content(name: str, folder: Path = FOLDER) -> bytes:
    """The bytes of a shipped file. Blocks for some milliseconds.

    Raises ModelUnavailable where it is absent, too large, or not the one that the manifest names.
    """
    try:
        wanted = json.loads((folder / "manifest.json").read_text())["files"][name]["sha256"]
        path = folder / name
        if path.stat().st_size > LARGEST:
            raise ModelUnavailable(f"{name} is larger than {LARGEST} bytes")
        raw = path.read_bytes()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as wrong:
        raise ModelUnavailable(f"no model {name!r} in {folder.name}: {wrong!r}") from wrong
    if hashlib.sha256(raw).hexdigest() != wanted:
        raise ModelUnavailable(f"{name} is not the file that the manifest names: its checksum differs")
    return raw


def arrays(name: str, folder: Path = FOLDER) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of a shipped model, by name. Raises ModelUnavailable as content() does, and where they cannot be read."""
    raw = content(name, folder)
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as found:
            return dict(found)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as wrong:
        raise ModelUnavailable(f"{name} cannot be read: {wrong!r}") from wrong


def save(name: str, values: dict[str, npt.NDArray[np.generic]], facts: dict[str, object], folder: Path = FOLDER) -> str:
    """Write a model's arrays and its line of the manifest; equal arrays, equal bytes. -> SHA-256, hex."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **values)  # its members carry no time stamp
    return put(name, buffer.getvalue(), facts, folder)


def put(name: str, raw: bytes, facts: dict[str, object], folder: Path = FOLDER) -> str:
    """Write a file and its line of the manifest. -> SHA-256, hex."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(raw).hexdigest()
    (folder / name).write_bytes(raw)
    manifest = folder / "manifest.json"
    listed: dict[str, Any] = json.loads(manifest.read_text()) if manifest.exists() else {"format": 1, "files": {}}
    listed["files"][name] = {"sha256": digest, "bytes": len(raw), **facts}
    manifest.write_text(json.dumps(listed, indent=1, sort_keys=True) + "\n")
    return digest

"""Shipped models: only the file that the manifest names is read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from tracewinnow.models import registry
from tracewinnow.models.registry import ModelUnavailable

NPY = io.BytesIO()
np.save(NPY, np.zeros(3))
VALUES = {"weights": np.arange(6, dtype=np.float16).reshape(2, 3), "bias": np.zeros(3, np.float32)}


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    registry.save("one.npz", VALUES, {"made_from": "nothing"}, tmp_path)
    found = registry.arrays("one.npz", tmp_path)
    assert found.keys() == VALUES.keys()
    for name, value in VALUES.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype
    assert json.loads((tmp_path / "manifest.json").read_text())["files"]["one.npz"]["made_from"] == "nothing"


def test_equal_arrays_equal_bytes(tmp_path: Path) -> None:
    assert registry.save("a.npz", VALUES, {}, tmp_path) == registry.save("b.npz", VALUES, {}, tmp_path)


@pytest.mark.parametrize(
    "damage", ["flipped", "short", "absent", "no manifest", "not named", "manifest of something else", "deep"]
)
def test_another_file_is_refused(tmp_path: Path, damage: str) -> None:
    registry.save("one.npz", VALUES, {}, tmp_path)
    path = tmp_path / "one.npz"
    raw = path.read_bytes()
    if damage == "flipped":
        path.write_bytes(raw[:50] + bytes([raw[50] ^ 1]) + raw[51:])
    elif damage == "short":
        path.write_bytes(raw[:-1])
    elif damage == "absent":
        path.unlink()
    elif damage == "no manifest":
        (tmp_path / "manifest.json").unlink()
    elif damage == "not named":
        (tmp_path / "manifest.json").write_text('{"files": {}}')
    elif damage == "deep":
        (tmp_path / "manifest.json").write_text("[" * 200_000)
    else:
        (tmp_path / "manifest.json").write_text("[1]")
    with pytest.raises(ModelUnavailable):
        registry.arrays("one.npz", tmp_path)


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04" + b"x" * 100, b"junk", NPY.getvalue()])
def test_a_file_that_is_none_is_refused_though_the_manifest_names_it(raw: bytes, tmp_path: Path) -> None:
    registry.put("one.npz", raw, {}, tmp_path)
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        registry.arrays("one.npz", tmp_path)


def test_a_named_file_that_holds_objects_is_refused(tmp_path: Path) -> None:
    import hashlib

    np.savez(tmp_path / "evil.npz", x=np.array([{"a": 1}], object))
    digest = hashlib.sha256((tmp_path / "evil.npz").read_bytes()).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {"evil.npz": {"sha256": digest}}}))
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        registry.arrays("evil.npz", tmp_path)

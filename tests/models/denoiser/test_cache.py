"""What the text model says of templates, saved."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.models.denoiser import cache
from tracewinnow.models.denoiser.cache import load, save
from tracewinnow.models.denoiser.text_model import Known

TEXTS = st.lists(st.binary(max_size=20), unique=True, max_size=20)


def known(texts: list[bytes]) -> Known:
    return {text: np.arange(4, dtype=np.float32) + i for i, text in enumerate(texts)}


@settings(max_examples=50, deadline=None)
@given(TEXTS)
def test_what_was_saved_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("cache") / "templates"
    assert save(known(texts), "m1", path) == len(texts)
    found = load(path, "m1")
    assert isinstance(found, dict)
    assert list(found) == texts
    assert all((found[text] == odds).all() and odds.dtype == np.float32 for text, odds in known(texts).items())


def test_of_another_model_it_is_not_used(tmp_path: Path) -> None:
    save(known([b"a", b"bc"]), "m1", tmp_path / "templates")
    said = load(tmp_path / "templates", "m2")
    assert isinstance(said, str)
    assert "of model 'm1', this is 'm2'" in said


def test_any_damage_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "templates"
    save(known([b"step #", b"error: #"]), "m1", path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            path.write_bytes(damaged)
            found = load(path, "m1")
            assert isinstance(found, str), (place, damaged)
    path.write_bytes(whole + b"x")
    assert isinstance(load(path, "m1"), str)


@pytest.mark.parametrize("count", [-1, 1 << 40, 1.5, None, "2", True, [[[]]]])
def test_what_a_hostile_file_says_is_not_allocated(tmp_path: Path, count: object) -> None:
    head = {"format": cache.FORMAT, "model": "m1", "templates": count, "sha256": "0" * 64}
    (tmp_path / "templates").write_bytes(json.dumps(head).encode() + b"\n" + b"x" * 100)
    assert isinstance(load(tmp_path / "templates", "m1"), str)


@pytest.mark.parametrize("data", [b"", b"\n", b"[]\n", b"[" * 5000, b"{}\n", b"x" * 5000, b'{"format": 1}\n'])
def test_something_else_is_not_used(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "templates").write_bytes(data)
    assert isinstance(load(tmp_path / "templates", "m1"), str)
    assert isinstance(load(tmp_path / "nowhere", "m1"), str)


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "REMEMBERED", 2)
    assert save(known([b"a", b"b", b"c"]), "m1", tmp_path / "templates") == 2
    monkeypatch.setattr(cache, "LARGEST", cache.HEADER + 30)
    with pytest.raises(OSError, match="at most"):
        save(known([b"a" * 100]), "m1", tmp_path / "templates")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(known([b"a"]), "m1", tmp_path / "templates")
    before = (tmp_path / "templates").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(known([b"b"]), "m1", tmp_path / "templates")
    assert (tmp_path / "templates").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["templates"]

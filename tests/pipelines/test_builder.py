"""Processes that build windows: one that dies at its start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tracewinnow.pipelines.builder import Builders
from tracewinnow.pipelines.options import Settings
from tracewinnow.schemas.errors import TracewinnowError


def test_one_that_dies_at_its_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    builders = Builders(Settings(str(tmp_path / "w"), reference=str(tmp_path / "nowhere.json")))
    try:
        with pytest.raises(TracewinnowError, match="builds windows ended with code 1 at its start"):
            builders.wait()
    finally:
        builders.close()
    err = capfd.readouterr().err
    assert "nowhere.json cannot be read" in err
    assert "Traceback" not in err

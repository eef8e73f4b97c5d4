"""`tracewinnow train` and `evaluate`: errors say what to do, and what was trained can be evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tracewinnow.cli import evaluate, train
from tracewinnow.models import registry
from tracewinnow.schemas.errors import BadUse


def test_training_needs_data() -> None:
    found = CliRunner().invoke(train.command, ["denoiser", "--out", "x"])
    assert isinstance(found.exception, BadUse)
    assert "--data" in str(found.exception)


def test_figures_of_the_shipped_model() -> None:
    found = CliRunner().invoke(evaluate.command, ["denoiser"])
    assert found.exit_code == 0
    assert "| all |" in found.stdout
    figures = json.loads(CliRunner().invoke(evaluate.command, ["denoiser", "--json"]).stdout)
    manifest = json.loads((registry.FOLDER / "manifest.json").read_text())
    assert figures["model"]["sha256"] == manifest["files"]["denoiser.npz"]["sha256"]


@pytest.mark.parametrize("damage", ["empty", "changed"])
def test_a_folder_that_holds_no_model_is_said(tmp_path: Path, damage: str) -> None:
    if damage == "changed":
        for file in registry.FOLDER.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / "denoiser.npz").write_bytes(b"something else")
    found = CliRunner().invoke(evaluate.command, ["denoiser", "--model", str(tmp_path)])
    assert found.exit_code == 1
    assert "tracewinnow train denoiser" in found.output


@pytest.mark.parametrize("verb", [train.command, evaluate.command])
def test_help_has_examples(verb: object) -> None:
    for arguments in (["--help"], ["denoiser", "--help"]):
        assert "Examples:" in CliRunner().invoke(verb, arguments).output  # type: ignore[arg-type]

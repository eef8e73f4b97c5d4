"""The encoder trained for real: one layer, some scenes, exported, and loaded by the pipeline's own loader. Needs torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracewinnow.models.denoiser.encoder import Encoder
from tracewinnow.models.denoiser.training import run
from tracewinnow.transforms.reread import encoder

pytestmark = pytest.mark.torch


def test_a_quick_training_is_exported_and_loaded(tmp_path: Path) -> None:
    figures = run.train(None, tmp_path, seed=3, quick=True, tell=lambda said: None, encode=True)
    facts = figures["model"]["encoder"]
    assert facts["onnx as torch"] >= 0.99
    assert facts["int8 as float"] >= 0.99
    assert set(figures["gain"]) >= {"accuracy", "macro_f1"}
    assert figures["fast"]["all"]["segments"] == figures["all"]["segments"]
    loaded = encoder(tmp_path)
    assert isinstance(loaded, Encoder)
    assert loaded.version == facts["sha256"][:12]

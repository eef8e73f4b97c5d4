"""The loader of the compiled kernels."""

from __future__ import annotations

import pytest

from tracewinnow import kernels
from tracewinnow.transforms import _lines


def test_the_reference_answers_where_the_environment_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.kernel.cache_clear()
    monkeypatch.setenv("TRACEWINNOW_PURE", "1")
    assert kernels.kernel("transforms._lines") is None
    kernels.kernel.cache_clear()
    monkeypatch.delenv("TRACEWINNOW_PURE")
    assert kernels.kernel("transforms._lines") is _lines


def test_a_kernel_that_was_not_built_says_what_to_do() -> None:
    with pytest.raises(ImportError, match="build_ext"):
        kernels.kernel("transforms._missing")

"""The compiled twins of what lines.py, mask.py, blocks.py, signals.py, events.py, tokens.py and reading.py do in Python."""

from __future__ import annotations

import functools
import importlib
import os
from types import ModuleType


@functools.lru_cache(maxsize=16)
def kernel(name: str) -> ModuleType | None:
    """A compiled module of this folder, or None where the environment says TRACEWINNOW_PURE=1: the reference does it then.

    Raises ImportError, with what to do, where it was not built: a silent fallback would be slow.
    """
    if os.environ.get("TRACEWINNOW_PURE") == "1":
        return None
    try:
        return importlib.import_module(f"tracewinnow.transforms.{name}")
    except ImportError as missing:
        raise ImportError(
            f"the compiled kernel tracewinnow.transforms.{name} is missing. Build it with "
            "`python setup.py build_ext --inplace` or install a wheel; TRACEWINNOW_PURE=1 runs the slow Python reference instead."
        ) from missing

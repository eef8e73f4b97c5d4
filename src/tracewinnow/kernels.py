"""The compiled twins of what the stages and the denoiser do in Python. The codec has its own loader: it is a library of its own."""

from __future__ import annotations

import functools
import importlib
import os
from types import ModuleType


@functools.lru_cache(maxsize=16)
def kernel(name: str) -> ModuleType | None:
    """A compiled module, by its name below tracewinnow, or None where TRACEWINNOW_PURE=1 says that the reference does its work.

    Raises ImportError, with what to do, where it was not built: a silent fallback would be slow.
    """
    if os.environ.get("TRACEWINNOW_PURE") == "1":
        return None
    try:
        return importlib.import_module(f"tracewinnow.{name}")
    except ImportError as missing:
        raise ImportError(
            f"the compiled kernel tracewinnow.{name} is missing. Build it with "
            "`python setup.py build_ext --inplace` or install a wheel; TRACEWINNOW_PURE=1 runs the slow Python reference instead."
        ) from missing

"""Winnows the telemetry of machine-learning jobs.

import tracewinnow
trace = tracewinnow.winnow(text, budget=2000)      # needs the extra `winnow`
print(trace.text)

import tracewinnow.logger                          # needs nothing but the base installation
run = tracewinnow.logger.start(job="llama-7b", accelerator="gpu", spool="spool")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracewinnow.version import VERSION as __version__

if TYPE_CHECKING:
    from tracewinnow.transforms.winnow import winnow as winnow

__all__ = ["__version__", "winnow"]


def __getattr__(name: str) -> Any:
    # Lazy: a job that imports tracewinnow.logger must not pay for the stages.
    if name == "winnow":
        from tracewinnow.transforms.winnow import winnow

        return winnow
    raise AttributeError(f"module 'tracewinnow' has no attribute {name!r}")

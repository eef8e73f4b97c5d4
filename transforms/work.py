"""A trace on its way through the three stages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace
from tracewinnow.transforms.denoise import Denoised
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.reading import Reading
from tracewinnow.transforms.series import Summary
from tracewinnow.transforms.trace import Trace


@dataclass(slots=True)
class Work:
    """What each stage found out about a trace, and the result as far as it goes."""

    trace: Trace
    options: Options
    result: PreprocessedTrace
    reading: Reading
    denoised: Denoised
    value: npt.NDArray[np.float32]  # log-odds of each line that it explains the failure
    summaries: list[Summary] = field(default_factory=list)

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Adds to the seconds of a stage."""
        start = time.perf_counter()
        yield
        self.result.seconds[stage] += time.perf_counter() - start

"""The canonical raw trace: the events of one job in one window, in order, as the stages read them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracewinnow.schemas.trace_pb2 import JobState, ProcessRange
from tracewinnow.transforms.numeric import Numeric


@dataclass(slots=True)
class Series:
    """One number over steps. steps: int64[n], ascending where the job's were; values: float64[n]; times_ns: int64[n]."""

    name: str  # "loss", "layers.3.mlp.weight"
    statistic: str  # "metric", "grad_norm", "weight_norm", "memory_used", ...
    rank: int  # -1 where unknown
    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    times_ns: npt.NDArray[np.int64]


@dataclass(slots=True)
class SpanSummary:
    """Spans of one name on one device: how many, how long, the longest, and errors."""

    name: str
    device: str
    count: int
    total_ns: int
    longest_ns: int
    longest_start_ns: int
    failed: int = 0
    errors: list[str] = field(default_factory=list)  # the first ones


@dataclass(slots=True)
class SparseSummary:
    """Sparse activations of one name: how many, and density of the first and the last."""

    name: str
    count: int
    first_density: float
    last_density: float


@dataclass(slots=True)
class Trace:
    """Lines are numbered from 1 in list order. The parallel lists are empty where nothing is known (plain text).

    lines: text as it came (colour codes, carriage returns and time stamps still in it), UTF-8 decoded with
    `surrogateescape`, so that encoding it the same way gives the bytes back.
    """

    lines: list[str]
    times_ns: list[int] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)  # -1 where unknown
    levels: list[int] = field(default_factory=list)  # of Python's logging; 0 where unknown
    events: list[str] = field(default_factory=list)  # "" for a log line; "start", "stop", "crash" for a job event
    series: list[Series] = field(default_factory=list)
    spans: list[SpanSummary] = field(default_factory=list)
    sparse: list[SparseSummary] = field(default_factory=list)
    numeric: Numeric = field(default_factory=Numeric)  # what series, spans and sparse are made of
    numeric_events: int = 0
    job_id: str = ""
    window_start_ns: int = 0
    window_end_ns: int = 0
    part: int = 0
    revision: int = 0
    accelerator: str = ""  # "tpu", "gpu", "cpu" or ""
    bytes_before: int = 0
    processes: list[ProcessRange] = field(default_factory=list)
    job: JobState | None = None
    ends: bool = True  # the log ends with these lines: not those of a piece of a larger one

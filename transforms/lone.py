"""Lines said once amid lines that are said again and again: what a program did only here is worth more than one more step of it.

By its words such a line may say nothing of trouble (`6 of 5000 rows remain`, `using default`), and yet be why a job failed later.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms.classify import METADATA
from tracewinnow.transforms.rank import PARTS
from tracewinnow.transforms.score import Floats, View
from tracewinnow.transforms.words import bits_of

SELDOM = 2  # times that its template is said, at most
AROUND = 8  # lines before and behind, of which the median tells how often what stands here is said;
OFTEN = 2.0  # by so many doublings more often than the line itself,
GAIN = 0.8  # and this many log-odds for each doubling beyond,
DOUBLINGS = 6.0  # of which no more than this many count
MOST = -2.0  # log-odds up to which a line is raised: what tells of trouble stands above it
BEGIN = 20  # lines at the beginning, where everything is said for the first time
NOTHING = PARTS | bits_of("blank", "rule")  # what says nothing by itself


def raised(value: Floats, view: View, label: npt.NDArray[np.int8]) -> Floats:
    """What each line is worth, lone ones more: float32[n]. value: float32[n], log-odds; label: int8[n], classes.

    Metadata stays as it is: a setting is said once by nature.
    """
    count = np.bincount(view.template)[view.template]
    able = (count <= SELDOM) & ((view.bits & NOTHING) == 0) & (label != METADATA)
    able[:BEGIN] = False
    lines = np.flatnonzero(able)
    if not len(lines) or len(count) <= 2 * AROUND:
        return value
    said = np.log2(count).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(said, AROUND, mode="edge"), 2 * AROUND + 1)
    above = np.median(windows[lines], axis=1) - said[lines] - OFTEN
    found: Floats = value.copy()
    lifted = np.minimum(value[lines] + GAIN * np.clip(above, 0, DOUBLINGS), MOST)
    found[lines] = np.maximum(value[lines], lifted)
    return found

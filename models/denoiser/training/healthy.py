"""The completed runs of a study as references for one another: what a reference is worth, on sources left out."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import numpy.typing as npt

from tracewinnow.models.denoiser.training.dataset import Sample, Study
from tracewinnow.transforms.classify import voteless
from tracewinnow.transforms.harmless import QUIET, quiet_blocks, telling, without_news
from tracewinnow.transforms.score import Floats


def shares(found: Study) -> dict[int, Floats]:
    """Of each template of the study the share of other completed runs that print it, by number of a completed run.

    Others: those of its project, or else of its source. A run that has no other is not listed.
    """
    projects, sources = defaultdict[tuple[str, str], list[int]](list), defaultdict[str, list[int]](list)
    for number, one in enumerate(found.samples):
        if one.outcome == "ok":
            projects[one.source, one.project].append(number)
            sources[one.source].append(number)
    told: dict[int, Floats] = {}
    for runs in sources.values():
        for number in runs:
            one = found.samples[number]
            others = [n for n in projects[one.source, one.project] if n != number] or [n for n in runs if n != number]
            if others:
                count = Counter(t for n in others for t in set(found.samples[n].template.tolist()))
                own = np.array([count[t] for t in one.template.tolist()], np.float32)
                told[number] = own / np.float32(len(others))
    return told


def known(found: Study, one: Sample, share: Floats, probability: Floats) -> tuple[Floats, Floats]:
    """What stage 1 makes of a reference: class probabilities without what is not actionable any more, and the share that counts.

    share: float32[n], of each line; probability: float32[n, 4]. -> float32[n, 4], float32[n].
    """
    distinct, where = np.unique(one.template, return_inverse=True)
    largest: npt.NDArray[np.float32] = np.zeros(len(distinct), np.float32)
    largest[where] = share
    view = one.view
    told = telling(
        type(view)(view.bits, where.astype(np.int64), view.block, view.rank),
        [found.templates[t] for t in distinct.tolist()],
        largest >= QUIET,
    )
    return voteless(probability, quiet_blocks(view, told[where])), without_news(view, share)

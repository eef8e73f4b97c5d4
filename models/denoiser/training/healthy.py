"""The completed runs of a study as references for one another: what a reference is worth, on sources left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np

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
    for runs in (*sources.values(), *projects.values()):  # a project stands above its source
        if len(runs) > 1:
            printing = Counter(t for n in runs for t in set(found.samples[n].template.tolist()))
            for number in runs:  # which prints all of its own
                others = [printing[t] - 1 for t in found.samples[number].template.tolist()]
                told[number] = np.array(others, np.float32) / np.float32(len(runs) - 1)
    return told


def known(found: Study, one: Sample, share: Floats, probability: Floats) -> tuple[Floats, Floats]:
    """What stage 1 makes of a reference: class probabilities without what is not actionable any more, and the share that counts.

    share: float32[n], of each line; probability: float32[n, 4]. -> float32[n, 4], float32[n].
    """
    distinct, first, where = np.unique(one.template, return_index=True, return_inverse=True)
    view = replace(one.view, template=where.astype(np.int64))
    told = telling(view, [found.templates[t] for t in distinct.tolist()], share[first] >= QUIET)
    return voteless(probability, quiet_blocks(view, told[where])), without_news(view, share)

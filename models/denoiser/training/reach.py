"""Which labelled segments the encoder reads where it reads no more of a trace than it may (transforms/reread.py)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tracewinnow.models.denoiser.training.dataset import Study
from tracewinnow.models.denoiser.training.evaluate import Judged
from tracewinnow.models.denoiser.training.fit import Lines
from tracewinnow.models.denoiser.training.harmless import said_of
from tracewinnow.transforms.judge import Judge
from tracewinnow.transforms.reread import doubtful

Flags = npt.NDArray[np.bool_]


def lines_read(study: Study, number: int, judge: Judge) -> Flags:
    """Lines of a log that stand in a block which is read: bool[n]."""
    one = study.samples[number]
    p = said_of(study, number, judge)
    found = np.zeros(len(p), bool)
    for blocks in doubtful(one.view, p):
        found[np.concatenate(blocks)] = True
    return found


def segments_read(
    study: Study, lines: Lines, group: npt.NDArray[np.str_], names: list[str], judges: dict[str, Judge]
) -> Flags:
    """Of each segment of these groups, in the order of evaluate.segments.

    group: of each labelled line. judges: by group, blind to it.
    """
    found: dict[int, Flags] = {}
    judged = np.flatnonzero(np.isin(group, names))
    for number, name in dict(zip(lines.sample[judged].tolist(), group[judged].tolist(), strict=True)).items():
        found[number] = lines_read(study, number, judges[name])
    _, first = np.unique(lines.segment[judged], return_index=True)
    heads = judged[first]
    return np.array(
        [found[s][i] for s, i in zip(lines.sample[heads].tolist(), lines.line[heads].tolist(), strict=True)], bool
    )


def only(read: Flags, heard: Judged, unheard: Judged) -> Judged:
    """Segments as they are judged where the encoder is heard only for those that it reads."""
    return replace(heard, probability=np.where(read[:, None], heard.probability, unheard.probability))

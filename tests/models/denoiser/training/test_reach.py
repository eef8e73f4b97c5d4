"""What the encoder reads of labelled logs is what it would read of them in the pipeline."""

from __future__ import annotations

import numpy as np

from tracewinnow.models.denoiser.training import evaluate, reach
from tracewinnow.models.denoiser.training.fit import fit, lines_of, seen_of
from tracewinnow.models.denoiser.training.run import gather, groups
from tracewinnow.transforms import reread


def test_it_reads_what_is_in_doubt() -> None:
    study = gather(None, quick=True)
    lines = lines_of(study)
    group, names = groups(lines)
    ours = np.flatnonzero(group == names[0])
    judge = fit(study, lines, np.flatnonzero(group != names[0]))
    read = reach.segments_read(study, lines, group, names[:1], {names[0]: judge})
    judged = evaluate.segments(study, lines, evaluate.predict(study, lines, judge, ours), ours)
    assert len(read) == len(judged.label)
    assert 0.2 < read.mean() < 1  # nearly all that is in doubt, because the logs are short
    heads = ours[np.unique(lines.segment[ours], return_index=True)[1]]
    logs = np.unique(lines.sample[heads]).tolist()
    sure = {s: judge.judged(study.samples[s].view, seen_of(study, judge.text, [s])[s]).max(axis=1) for s in logs}
    at = zip(lines.sample[heads].tolist(), lines.line[heads].tolist(), strict=True)
    doubt = np.array([sure[s][i] < reread.DOUBT for s, i in at])
    assert not (read & ~doubt).any()
    assert read.sum() > 0.9 * doubt.sum()
    worse = judged.taken(np.arange(len(read)))
    worse.probability = np.full_like(judged.probability, 0.25)
    mixed = reach.only(read, worse, judged)
    np.testing.assert_array_equal(mixed.probability[read], 0.25)
    np.testing.assert_array_equal(mixed.probability[~read], judged.probability[~read])

"""The account that a result gives: what came in, what it was made by, what was kept and dropped of each class."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import quote

import numpy as np

from tracewinnow.schemas.trace_pb2 import ClassCount, LineClass, Note, PreprocessedTrace
from tracewinnow.transforms import render, tokens
from tracewinnow.transforms.classify import LABELS
from tracewinnow.transforms.denoise import Denoised
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.segments import Piece
from tracewinnow.transforms.trace import Trace
from tracewinnow.version import VERSION

STAGES_VERSION = "rules-17"  # raised when the same input may give another result
EXACT = 1 << 20  # characters that are put through the tokenizer whole, at 6 to 8 MB/s,
SAMPLE = 1 << 15  # and how many of a larger trace


def account(trace: Trace, options: Options) -> PreprocessedTrace:
    """What is known before the stages ran."""
    result = PreprocessedTrace(
        trace_id=f"{quote(trace.job_id, safe='')}/{trace.window_start_ns}/{trace.part}" if trace.job_id else "",
        job_id=trace.job_id,
        window_start_ns=trace.window_start_ns,
        window_end_ns=trace.window_end_ns,
        part=trace.part,
        revision=trace.revision,
        budget=options.budget,
        query=render.clean(options.query),
        tokenizer=tokens.TOKENIZER,
        bytes_before=trace.bytes_before,
        lines_before=len(trace.lines),
        events_before=len(trace.lines) + trace.numeric_events,
        processes=trace.processes,
        job=trace.job,
    )
    result.versions.update({"tracewinnow": VERSION, "stages": STAGES_VERSION, "tokenizer": tokens.TOKENIZER})
    if options.workload:
        result.versions["workload"] = render.clean(options.workload)
    return result


def tokens_before(trace: Trace, result: PreprocessedTrace) -> int:
    """Tokens of all lines; estimated, with a note, where there are more than EXACT characters of them."""
    text = render.clean("\n".join(trace.lines))
    if len(text) <= EXACT:
        return tokens.count(text)
    reason = f"tokens_before is estimated from {SAMPLE} of {len(text)} characters"
    result.notes.append(Note(stage="count", what="fallback", reason=reason))
    return tokens.estimate(text, SAMPLE)


def content_address(trace: Trace, options: Options, versions: Mapping[str, str]) -> str:
    """SHA-256, hex, of everything the result hangs on. versions: of code and models."""
    digest = hashlib.sha256(repr(sorted(versions.items())).encode() + options.canonical())
    digest.update("\n".join(trace.lines).encode("utf8", "surrogateescape"))
    for numbers in (trace.times_ns, trace.ranks, trace.levels):
        digest.update(b"\0" + np.asarray(numbers, np.int64).tobytes())
    digest.update(repr((trace.events, trace.job_id, trace.window_start_ns, trace.part, trace.accelerator)).encode())
    if not trace.ends:
        digest.update(b"goes on")
    for one in trace.series:
        digest.update(repr((one.name, one.statistic, one.rank)).encode())
        digest.update(one.steps.tobytes() + one.values.tobytes() + one.times_ns.tobytes())
    digest.update(repr((trace.spans, trace.sparse)).encode("utf8", "surrogateescape"))
    for data in trace.numeric.canonical():
        digest.update(data)
    return digest.hexdigest()


def lines_account(result: PreprocessedTrace, denoised: Denoised, pieces: list[Piece]) -> None:
    """Class of every line, and how much of each class was kept."""
    label = denoised.label
    if not len(label):
        return
    starts = np.concatenate([[0], np.flatnonzero(label[1:] != label[:-1]) + 1, [len(label)]])
    kept = np.zeros(len(label), bool)
    for piece in pieces:
        kept[piece.first : piece.last + 1] = True
    for first, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        result.line_classes.append(LineClass(first=first + 1, last=end, label=LABELS[label[first]]))
    runs = label[starts[:-1]]
    held = np.logical_or.reduceat(kept, starts[:-1])
    for number, name in enumerate(LABELS):
        result.classes.append(
            ClassCount(
                label=name,
                segments_kept=int((held & (runs == number)).sum()),
                segments_dropped=int((~held & (runs == number)).sum()),
                lines_kept=int((kept & (label == number)).sum()),
                lines_dropped=int((~kept & (label == number)).sum()),
            )
        )

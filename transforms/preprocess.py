"""The three stages over one trace, and the account of what they did."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from tracewinnow.schemas.trace_pb2 import Note, PreprocessedTrace
from tracewinnow.transforms import odd_ranks, tokens
from tracewinnow.transforms.account import account, content_address, lines_account, tokens_before
from tracewinnow.transforms.denoise import denoise
from tracewinnow.transforms.fill import fill, store
from tracewinnow.transforms.harmless import Shipped, harmless, healthy_share, shipped
from tracewinnow.transforms.judge import LEAST, RULES, judge, log_odds
from tracewinnow.transforms.lone import raised
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.outcome import Outcome, quieter
from tracewinnow.transforms.outcome import shipped as outcome_model
from tracewinnow.transforms.pack import contain
from tracewinnow.transforms.rank import adjust, crowd
from tracewinnow.transforms.reading import Reading, read
from tracewinnow.transforms.reference import Names, no_names
from tracewinnow.transforms.reread import encoder, prepare, reread
from tracewinnow.transforms.score import score
from tracewinnow.transforms.segments import segment, summary_segment
from tracewinnow.transforms.series import Summary, summarise
from tracewinnow.transforms.trace import Trace
from tracewinnow.transforms.work import Work

OPINION = 0.6  # weight of the score and of the model's log-odds that a line is actionable, where both are heard
LEAST_LIKELY = 0.01  # where the model's are cut off: one that is sure of what it never saw must not decide alone
LAST_WORDS = 3.0  # the least log-odds of the last line of a rank that fell silent while the others went on


def preprocess(trace: Trace, options: Options) -> PreprocessedTrace:
    """Denoise, compress and rank a trace.

    Deterministic: same trace and options, same bytes, `seconds` aside. No I/O but for loading the vocabulary once. `text` never has
    more than options.budget tokens. Of a trace of more than EXACT characters `tokens_before` is estimated, and a note says so.
    """
    return rank_stage(compress_stage(denoise_stage(trace, options)))


def denoise_stage(trace: Trace, options: Options) -> Work:
    """Stage 1: read the lines, score and class them, draw the noise and progress that stays."""
    start = time.perf_counter()
    closely = not goes_on(trace) and not went_well(trace)
    if closely:
        prepare()
    result = account(trace, options)
    reading = read(trace.lines, trace.ranks)
    base = score(reading.view)
    healthy = healthy_share(reading, options.reference)
    untold = trace.ends and not goes_on(trace) and not outcome_told(trace)
    classes, failed = judged(reading, base, result, closely, untold)
    if classes is not None and not goes_on(trace):
        base = OPINION * (base + log_odds(classes[:, 0], LEAST_LIKELY))
        classes = quieter(classes, reading.view, failed)  # the class alone: what is shown first stays as it is
    value = valued(base, trace, reading, healthy, options.query)
    unasked = classes is None and options.query  # the rules' classes do not hang on what the reader asks
    denoised = denoise(
        reading,
        valued(base, trace, reading, healthy, "") if unasked else value,
        healthy,
        trace.events,
        went_well(trace),
        classes,
        goes_on(trace),
        harmless(reading, options.reference, known_harmless(result)),
    )
    value = odd_ranks.raised(raised(value, reading.view, denoised.label), reading)
    result.content_address = content_address(trace, options, result.versions)
    result.route.append("denoise")
    result.seconds["denoise"] = time.perf_counter() - start
    return Work(trace, options, result, reading, denoised, value)


def valued(
    score: npt.NDArray[np.float32], trace: Trace, reading: Reading, healthy: npt.NDArray[np.float32], query: str
) -> npt.NDArray[np.float32]:
    """What each line is worth to this reader: float32[n]."""
    value = adjust(score, reading, healthy, query, trace.levels, trace.events) - crowd(reading.view)
    value[reading.silent] = np.maximum(value[reading.silent], LAST_WORDS)
    return value


def judged(
    reading: Reading,
    rules: npt.NDArray[np.float32],
    result: PreprocessedTrace,
    closely: bool,
    untold: bool,
) -> tuple[npt.NDArray[np.float32] | None, float]:
    """Class probabilities by the trained models, float32[n, 4]; without one None, and the result says why the rules answer.

    closely: the encoder reads what the fast model is in doubt about; where nobody looks for a cause it would be time lost.
    untold: how the run ended is judged. The second is the log-odds that it did not complete, 0 where nobody knows.
    """
    model = judge()
    result.versions["denoiser"] = RULES if isinstance(model, str) else model.version
    if isinstance(model, str):
        result.notes.append(Note(stage="denoise", what="fallback", reason=model))
        return None, 0.0
    classes = model.classes(reading, rules)
    failed = not_completed(reading, rules, classes, result) if untold else 0.0
    if not closely:
        return classes, failed
    reader = encoder()
    if isinstance(reader, str):
        result.notes.append(Note(stage="denoise", what="fallback", reason=reader))
        return classes, failed
    result.versions["encoder"] = reader.version
    return reread(reader, reading, rules, classes), failed


def not_completed(
    reading: Reading, rules: npt.NDArray[np.float32], classes: npt.NDArray[np.float32], result: PreprocessedTrace
) -> float:
    """Log-odds that the run did not complete; 0 without a model, and the result says why. classes: by the fast model."""
    model = outcome_model()
    result.versions["outcome"] = model.version if isinstance(model, Outcome) else "none"
    if isinstance(model, Outcome):
        return model.log_odds(reading.view, reading.shown, log_odds(classes[:, 0], LEAST), rules)
    result.notes.append(Note(stage="denoise", what="fallback", reason=f"how the run ended is not judged: {model}"))
    return 0.0


def known_harmless(result: PreprocessedTrace) -> Names:
    """Templates of the shipped profile; without one none, and the result says why."""
    found = shipped()
    result.versions["harmless"] = found.version if isinstance(found, Shipped) else "none"
    if isinstance(found, Shipped):
        return found.names
    result.notes.append(Note(stage="denoise", what="fallback", reason=f"error-like lines are judged alone: {found}"))
    return no_names()


def compress_stage(work: Work) -> Work:
    """Stage 2: a line for each series of numbers, and all of them in a container; jobs on CPUs skip it."""
    with work.clock("compress"):
        work.summaries = numbers(work.trace, work.result, work.options)
    return work


def rank_stage(work: Work) -> PreprocessedTrace:
    """Stage 3: fill the token budget, and give account of what was kept and dropped."""
    result, denoised = work.result, work.denoised
    with work.clock("rank"):
        text, kept, told = fill(work)
        result.route.append("rank")
        result.text, result.tokens_after, result.bytes_after = text, tokens.count(text), len(text.encode())
        for piece in kept:  # what is kept for what it says was not drawn
            denoised.keep_probability[piece.first : piece.last + 1] = 1.0
        pieces, stored = kept, told
        if work.options.store_tokens:
            pieces, stored = store(work, kept), work.summaries
        for summary in stored:
            result.segments.append(summary_segment(summary))
        for piece in pieces:
            result.segments.append(segment(piece, work.trace, work.reading, denoised, work.value))
    with work.clock("count"):
        result.tokens_before = tokens_before(work.trace, result)
        lines_account(result, denoised, pieces)
    return result


def goes_on(trace: Trace) -> bool:
    """A window of a job that had not ended when the window did. A log from a file is whole, though it does not say how it ended."""
    return bool(trace.job_id) and (trace.job is None or trace.job.outcome not in ("stopped", "crashed", "imported"))


def went_well(trace: Trace) -> bool:
    """The job said that it ended, and ended with 0."""
    job = trace.job
    return job is not None and job.outcome == "stopped" and job.HasField("exit_code") and job.exit_code == 0


def outcome_told(trace: Trace) -> bool:
    """An event says how the job ended."""
    job = trace.job
    return job is not None and (job.outcome == "crashed" or (job.outcome == "stopped" and job.HasField("exit_code")))


def numbers(trace: Trace, result: PreprocessedTrace, options: Options) -> list[Summary]:
    """Stage 2 over numbers; jobs on CPUs skip it."""
    if trace.accelerator == "cpu":
        if trace.series or trace.spans or trace.sparse:
            result.notes.append(
                Note(
                    stage="compress",
                    what="skipped",
                    reason="numbers: a job on CPUs has no accelerator telemetry to explain",
                )
            )
        else:
            result.notes.append(Note(stage="compress", what="skipped", reason="numbers: the job ran on CPUs"))
        return []
    result.route.append("compress")
    contain(trace.numeric, result, options.rel_error)
    return summarise(trace.series, trace.spans, trace.sparse)

"""The token budget filled: the text of a result, and what is stored beside it for later answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms import render, tokens
from tracewinnow.transforms.denoise import Denoised
from tracewinnow.transforms.rank import Costs, rank
from tracewinnow.transforms.reading import Reading
from tracewinnow.transforms.segments import Piece, cut
from tracewinnow.transforms.series import Summary
from tracewinnow.transforms.trace import Trace

NUMBERS_SHARE = 0.3  # of the budget, for numbers, where there are lines too
BARE = 24  # tokens of budget below which one shortened line is all that fits


def fill(
    trace: Trace,
    reading: Reading,
    denoised: Denoised,
    value: npt.NDArray[np.float32],
    summaries: list[Summary],
    budget: int,
) -> tuple[str, list[Piece], list[Summary]]:
    """The text, the pieces of lines and the summaries of numbers in it: never more than `budget` tokens."""
    if budget < BARE:
        return bare(reading, value, summaries, budget)
    explained = [render.HEADER] if budget >= render.EXPLAINED_FROM and trace.lines else []
    room = budget - sum(tokens.count(line + "\n") for line in explained)
    limit = int(room * NUMBERS_SHARE) if trace.lines else room
    told, used = [], 0
    for summary in summaries:
        cost = tokens.count(render.clean(summary.text) + "\n")
        if used + cost <= limit:
            told.append(summary)
            used += cost
    head = [render.clean(summary.text) for summary in told]
    chosen, costs = rank(reading, value, room - used)
    while True:
        pieces = cut(chosen, reading, denoised, costs)
        body = render.render([piece.printed() for piece in pieces], len(reading.shown))
        marked = explained if "…" in body or "×" in body else []
        text = "\n".join([*marked, *head, *([body] if reading.shown else [])])
        over = tokens.count(text) - budget
        if over <= 0:
            return text, pieces, told
        drop(chosen, value, costs, over)
        if not chosen.any():
            return bare(reading, value, summaries, budget)


def drop(chosen: npt.NDArray[np.bool_], value: npt.NDArray[np.float32], costs: Costs, over: int) -> None:
    """Take the least likely lines out again, until `over` tokens are saved."""
    lines = np.flatnonzero(chosen)
    for line in lines[np.argsort(value[lines], kind="stable")].tolist():
        chosen[line] = False
        over -= costs.tokens(line)
        if over <= 0:
            return


def bare(
    reading: Reading, value: npt.NDArray[np.float32], summaries: list[Summary], budget: int
) -> tuple[str, list[Piece], list[Summary]]:
    """For a budget that holds no more than a line: the likeliest, as much of it as fits, without marks."""
    if len(value):
        line = int(np.argmax(value))
        text = tokens.head(render.clean(reading.shown[line]).strip(), budget)
        return text, [Piece(line, line, text, 1, (), tokens.count(text))] if text else [], []
    if summaries:
        text = tokens.head(render.clean(summaries[0].text), budget)
        return text, [], [summaries[0]] if text else []
    return "", [], []


def store(
    reading: Reading,
    denoised: Denoised,
    value: npt.NDArray[np.float32],
    kept: list[Piece],
    summaries: list[Summary],
    most: int,
) -> tuple[list[Piece], list[Summary]]:
    """What is kept for later: what stands in the text, the next likeliest up to `most` tokens, what was drawn, all numbers."""
    chosen = np.zeros(len(value), bool)
    for piece in kept:
        chosen[piece.first : piece.last + 1] = True
    wanted = np.where(denoised.drawn, value - 4, value)
    chosen, costs = rank(reading, wanted.astype(np.float32), most, chosen)
    denoised.keep_probability[chosen] = 1.0
    chosen |= denoised.drawn & denoised.kept & (np.array(list(map(len, reading.shown)), np.int64) > 0)
    return cut(chosen, reading, denoised, costs), summaries

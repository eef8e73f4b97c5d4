"""The token budget filled: the text of a result, and what is stored beside it for later answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms import render, tokens
from tracewinnow.transforms.rank import Costs, rank
from tracewinnow.transforms.reading import Reading
from tracewinnow.transforms.segments import Piece, cut
from tracewinnow.transforms.series import Summary
from tracewinnow.transforms.words import bits_of
from tracewinnow.transforms.work import Work

NUMBERS_SHARE = 0.3  # of the budget, for numbers, where there are lines too
BARE = 24  # tokens of budget below which the likeliest line comes before all others, and what marks take


def fill(work: Work) -> tuple[str, list[Piece], list[Summary]]:
    """The text, the pieces of lines and the summaries of numbers in it: never more than `work.options.budget` tokens."""
    reading, value, budget = work.reading, work.value, work.options.budget
    text, pieces, told = marked(work)
    if holds(pieces, reading, value) if budget < BARE and len(value) else pieces or told:
        return text, pieces, told
    least = bare(reading, value, work.summaries, budget)
    return least if least[0] else (text, pieces, told)


def marked(work: Work) -> tuple[str, list[Piece], list[Summary]]:
    """The same, with a mark for every gap; no text where no line fits beside the marks."""
    trace, reading, value, budget = work.trace, work.reading, work.value, work.options.budget
    explained = [render.HEADER] if budget >= render.EXPLAINED_FROM and trace.lines else []
    room = budget - sum(tokens.count(line + "\n") for line in explained)
    limit = int(room * NUMBERS_SHARE) if trace.lines else room
    told, used = [], 0
    for summary in work.summaries:
        cost = tokens.count(render.clean(summary.text) + "\n")
        if used + cost <= limit:
            told.append(summary)
            used += cost
    head = [render.clean(summary.text) for summary in told]
    chosen, costs = rank(reading, value, room - used)
    while True:
        pieces = cut(chosen, reading, work.denoised, costs)
        body = render.render([piece.printed() for piece in pieces], len(reading.shown))
        legend = explained if "…" in body or "×" in body else []
        text = "\n".join([*legend, *head, *([body] if reading.shown else [])])
        over = tokens.count(text) - budget
        if over <= 0:
            return text, pieces, told
        drop(chosen, value, costs, over)
        if not chosen.any():
            return "", [], []


def drop(chosen: npt.NDArray[np.bool_], value: npt.NDArray[np.float32], costs: Costs, over: int) -> None:
    """Take the least likely lines out again, until `over` tokens are saved."""
    lines = np.flatnonzero(chosen)
    for line in lines[np.argsort(value[lines], kind="stable")].tolist():
        chosen[line] = False
        over -= costs.tokens(line)
        if over <= 0:
            return


def likeliest(reading: Reading, value: npt.NDArray[np.float32]) -> int:
    """The line that is worth most; a blank one only where all are."""
    blank = (reading.view.bits & bits_of("blank")) != 0
    return int(np.argmax(value if blank.all() else np.where(blank, -np.inf, value)))


def holds(pieces: list[Piece], reading: Reading, value: npt.NDArray[np.float32]) -> bool:
    """Whether the likeliest line stands in one of the pieces, or another that says the same, and is whole."""
    if not pieces:
        return False
    said = render.clean(reading.shown[likeliest(reading, value)]).rstrip()
    return any(said in piece.text.split("\n") for piece in pieces)


def bare(
    reading: Reading, value: npt.NDArray[np.float32], summaries: list[Summary], budget: int
) -> tuple[str, list[Piece], list[Summary]]:
    """For a budget that holds no more than a line: the likeliest, with marks if they fit beside it, else as much of it as fits."""
    if len(value):
        line = likeliest(reading, value)
        said = render.clean(reading.shown[line]).rstrip()
        text = render.render([(line + 1, line + 1, said)], len(value))
        if not said or tokens.count(text) > budget:
            text = said = render.beginning(said.strip(), budget)
        return text, [Piece(line, line, said, 1, (), tokens.count(said))] if text else [], []
    if summaries:
        text = render.beginning(render.clean(summaries[0].text), budget)
        return text, [], [summaries[0]] if text else []
    return "", [], []


def store(work: Work, kept: list[Piece]) -> list[Piece]:
    """What is kept for later: what stands in the text, the next likeliest up to `store_tokens`, what was drawn."""
    reading, denoised, value = work.reading, work.denoised, work.value
    chosen = np.zeros(len(value), bool)
    for piece in kept:
        chosen[piece.first : piece.last + 1] = True
    wanted = np.where(denoised.drawn, value - 4, value)
    chosen, costs = rank(reading, wanted.astype(np.float32), work.options.store_tokens, chosen)
    denoised.keep_probability[chosen] = 1.0
    chosen |= denoised.drawn & denoised.kept & (np.array(list(map(len, reading.shown)), np.int64) > 0)
    return cut(chosen, reading, denoised, costs)

"""Segments: what is kept, cut where the block or the class changes, with what each stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.schemas.trace_pb2 import Segment
from tracewinnow.transforms import render, tokens
from tracewinnow.transforms.classify import CONTEXT, LABELS
from tracewinnow.transforms.denoise import Denoised
from tracewinnow.transforms.rank import Costs
from tracewinnow.transforms.reading import Reading
from tracewinnow.transforms.series import Summary
from tracewinnow.transforms.trace import Trace

LONGEST = 40  # lines of a segment


@dataclass(slots=True)
class Piece:
    """Kept lines that belong together. first, last: from 0, inclusive.

    count: lines that say what its head says, where some of them are left out, else 1. ranks: that said it, ascending.
    """

    first: int
    last: int
    text: str
    count: int
    ranks: tuple[int, ...]
    tokens: int  # of its lines, each counted alone; of what was drawn about as many

    @property
    def head(self) -> int:
        """Its first line that is not blank: blank lines are alike wherever they stand, and nothing is said of them."""
        return self.first + render.head_of(self.text)

    def printed(self) -> tuple[int, int, str]:
        """(first, last, text) for render(): 1-based, with a mark for repeats."""
        return self.first + 1, self.last + 1, render.repeated(self.text, self.count, self.ranks)


def cut(chosen: npt.NDArray[np.bool_], reading: Reading, denoised: Denoised, costs: Costs) -> list[Piece]:
    """The chosen lines as pieces, ascending."""
    lines = np.flatnonzero(chosen)
    if not len(lines):
        return []
    block, label = reading.view.block[lines], denoised.label[lines]
    chance = denoised.keep_probability[lines]
    another = (np.diff(block) != 0) & (np.diff(reading.repeats.group[lines]) != 0)
    breaks = (np.diff(lines) > 1) | (np.diff(label) != 0) | another | (np.diff(chance) != 0)
    pieces: list[Piece] = []
    said: set[int] = set()
    for run in np.split(lines, np.flatnonzero(breaks) + 1):
        for start in range(0, len(run), LONGEST):
            part = run[start : start + LONGEST].tolist()
            text = "\n".join(costs.text(line) for line in part)
            alike = reading.repeats.members(part[render.head_of(text)])
            # What a group of repeats stands for is said once, where it is first shown.
            left_out = 0 if alike[0] in said else len(alike) - int(chosen[alike].sum())
            said.add(int(alike[0]))
            ranks = reading.view.rank[alike if left_out else part]
            pieces.append(
                Piece(
                    part[0],
                    part[-1],
                    text,
                    len(alike) if left_out else 1,
                    tuple(sorted({rank for rank in ranks.tolist() if rank >= 0})),
                    sum(map(costs.about, part)),
                )
            )
    return pieces


def segment(
    piece: Piece, trace: Trace, reading: Reading, denoised: Denoised, value: npt.NDArray[np.float32]
) -> Segment:
    """A piece as it is stored."""
    lines = slice(piece.first, piece.last + 1)
    strongest = piece.first + int(np.argmax(value[lines]))
    alike = reading.repeats.members(piece.head).tolist() if piece.count > 1 else []
    times = [trace.times_ns[i] for i in (piece.first, *alike, piece.last)] if trace.times_ns else [0]
    return Segment(
        first=piece.first + 1,
        last=piece.last + 1,
        kind="block"
        if piece.last > piece.first and reading.view.block[piece.first] == reading.view.block[piece.last]
        else "lines",
        label=LABELS[denoised.label[piece.first]],
        confidence=float(denoised.confidence[strongest]),
        score=float(value[strongest]),
        keep_probability=float(denoised.keep_probability[piece.first]),
        template=reading.template_name(piece.head),
        count=piece.count,
        first_time_ns=min(times),
        last_time_ns=max(times),
        ranks=piece.ranks,
        tokens=piece.tokens if denoised.keep_probability[piece.first] < 1 else tokens.count(piece.text),
        text=piece.text,
    )


def summary_segment(summary: Summary) -> Segment:
    """A summary of numbers as it is stored."""
    text = render.clean(summary.text)
    return Segment(
        kind=summary.kind,
        label="actionable" if summary.weight >= 1.5 else LABELS[CONTEXT],
        confidence=0.6,
        score=summary.weight,
        keep_probability=1.0,
        count=1,
        first_time_ns=summary.first_time_ns,
        last_time_ns=summary.last_time_ns,
        ranks=summary.ranks,
        tokens=tokens.count(text),
        text=text,
        events=summary.events,
    )

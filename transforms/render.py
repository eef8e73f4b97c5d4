"""Print what was kept: in order, verbatim, with a mark for every gap that names the lines it stands for."""

from __future__ import annotations

from collections.abc import Sequence

from tracewinnow.transforms import tokens
from tracewinnow.transforms.lines import encodable

WORTH_SAYING = 3  # repeats that were left out, from which they are said
HEADER = "…A-B: lines A to B left out; ×N: N lines alike but for numbers and names"
EXPLAINED_FROM = 300  # tokens of budget from which the marks are explained


def gap(first: int, last: int) -> str:
    """The mark that stands for lines first to last."""
    return f"…{first}" if first == last else f"…{first}-{last}"


def marker_tokens(lines: int) -> int:
    """Most tokens that a gap's mark and its line end take in a log of that many lines; a digit is a token."""
    return 3 + 2 * len(str(lines))


def repeated(text: str, count: int, ranks: Sequence[int]) -> str:
    """The text, marked on its first line that is not blank with what it stands for: how often it was said, and by which ranks."""
    said = text.lstrip()
    if count < (WORTH_SAYING if len(ranks) < 2 else 2) or not said:
        return text
    mark = f" ×{count}" + (f" ranks {listed(ranks)}" if len(ranks) > 1 else "")
    end = text.find("\n", len(text) - len(said))
    return text + mark if end < 0 else text[:end] + mark + text[end:]


def head_of(text: str) -> int:
    """Place of the first line that is not blank, from 0; 0 where all are. What a segment stands for is said of this line."""
    said = text.lstrip()
    return text.count("\n", 0, len(text) - len(said)) if said else 0


def beginning(text: str, budget: int) -> str:
    """As much of a text as `budget` tokens hold, with … where it was cut, if there is room for more than that."""
    if tokens.count(text) <= budget:
        return text
    for room in (budget - 1, budget - 2):  # with what stands before it the mark may take one more
        cut = tokens.head(text, room) if room > 0 else ""
        if cut and tokens.count(f"{cut}…") <= budget:
            return f"{cut}…"
    return tokens.head(text, budget)


def listed(ranks: Sequence[int]) -> str:
    """0, 1, 2, 5 as 0-2,5; many apart by how many they are. ranks: ascending."""
    runs: list[list[int]] = []
    for rank in ranks:
        if runs and rank == runs[-1][1] + 1:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    if len(runs) > 6:
        return f"{ranks[0]}…{ranks[-1]} ({len(ranks)})"
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def clean(text: str) -> str:
    """Text that can be encoded: bytes that were no UTF-8, and halves of UTF-16 pairs, become the replacement character."""
    return text if text.isascii() else encodable(text).encode("utf8", "surrogateescape").decode("utf8", "replace")


def render(pieces: Sequence[tuple[int, int, str]], lines: int) -> str:
    """pieces: (first, last, text) of kept lines, ascending, 1-based. lines: how many the log has."""
    out, at = [], 1
    for first, last, text in pieces:
        if first > at:
            out.append(gap(at, first - 1))
        out.append(text)
        at = last + 1
    if at <= lines:
        out.append(gap(at, lines))
    return "\n".join(out)

"""What looks like an error and is none: lines that healthy runs print, those given as reference and those that shipped with us.

A block is judged as a whole: it is harmless if it holds a line of trouble that is known, and none that is not. So the header of a
traceback, which healthy runs print as well, says nothing about a traceback whose exception is new.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tracewinnow.models import registry
from tracewinnow.transforms.classify import TROUBLE
from tracewinnow.transforms.reading import Reading
from tracewinnow.transforms.reference import Names, Reference
from tracewinnow.transforms.score import View, block_largest
from tracewinnow.transforms.words import bits_of

FILE = "harmless.npz"
USUAL = 0.5  # share of healthy runs from which what they print is noise,
QUIET = 0.3  # and from which it is not actionable
WORDS, LETTERS = 4, 20  # least literal text of a template that can be known: "Error: #" may be anything
CORE = TROUBLE & ~bits_of("traceback")  # the header of a traceback does not tell which
RAISED = bits_of("raised", "exception")
ENDED = bits_of("exit", "verdict", "summary", "failed_test")  # of this run, whatever it was in others
WORD = re.compile(rb"[A-Za-z]{3,}")
MASKED = re.compile(rb"#|[\"'`]\*[\"'`]|\*/")

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Shipped:
    """names: uint64, ascending, templates of error-like lines of runs that completed. version: 12 hex digits."""

    names: Names
    version: str


@functools.lru_cache(maxsize=2)
def shipped(folder: Path = registry.FOLDER) -> Shipped | str:
    """The shipped profile, or why there is none. Loads once a process."""
    try:
        found = registry.arrays(FILE, folder)
        return Shipped(np.sort(found["names"].astype(np.uint64)), str(found["version"]))
    except (registry.ModelUnavailable, KeyError, ValueError) as wrong:
        return str(wrong)


def healthy_share(reading: Reading, reference: Reference | None) -> Floats:
    """Share of the healthy runs that print each line: float32[n]; zeros without a reference.

    0 too where the line's block holds trouble that fewer than USUAL of them print: it is part of something new.
    """
    if reference is None:
        return np.zeros(len(reading.shown), np.float32)
    return without_news(reading.view, reference.share(reading.names)[reading.view.template])


def without_news(view: View, share: Floats) -> Floats:
    """The same of the share that prints each line, whatever its block: float32[n] -> float32[n]."""
    news = anywhere(view, ((view.bits & CORE) != 0) & (share < USUAL))
    return np.where(news & (share >= USUAL), np.float32(0), share)


def harmless(reading: Reading, reference: Reference | None, names: Names) -> Flags:
    """Lines that are not actionable, whatever they look like: bool[n]. names: of the shipped profile.

    With a reference the shipped profile is asked only about what some healthy run printed: what is new there is news.
    """
    known = member(names, reading.names)
    if reference is not None and reference.runs:
        share = reference.share(reading.names)
        known = (known & (share > 0)) | telling(reading.view, reading.templates, share >= QUIET)
    return quiet_blocks(reading.view, np.asarray(known[reading.view.template], np.bool_))


def telling(view: View, templates: Sequence[bytes], some: Flags) -> Flags:
    """Which of some templates are error-like and say enough to be known again: bool[templates]. some: bool[templates]."""
    bits = np.zeros(len(templates), np.uint64)
    np.bitwise_or.at(bits, view.template, view.bits)
    found = np.asarray(some & ((bits & CORE) != 0) & ((bits & ENDED) == 0), np.bool_)
    for number in np.flatnonzero(found).tolist():
        found[number] = specific(templates[number], bool(bits[number] & RAISED))
    return found


def specific(template: bytes, raised: bool) -> bool:
    """Whether a template says what it is about: words enough, and no exception whose argument is masked."""
    words = WORD.findall(template)
    if len(words) < WORDS or sum(map(len, words)) < LETTERS:
        return False
    return not (raised and MASKED.search(template))


def quiet_blocks(view: View, known: Flags) -> Flags:
    """Lines of the blocks whose trouble is all known: bool[n]. known: bool[n]."""
    core = (view.bits & CORE) != 0
    return anywhere(view, core & known) & ~anywhere(view, core & ~known)


def anywhere(view: View, flags: Flags) -> Flags:
    """Whether a line of the block around each line has the flag: bool[n]."""
    if not flags.any():  # the usual case, and the blocks need not be sorted for it
        return np.zeros(len(flags), bool)
    return np.asarray(block_largest(view.block, flags.astype(np.float32)) > 0)


def member(names: Names, asked: Names) -> Flags:
    """Which of the names are in a sorted list: bool[len(asked)]."""
    if not len(names):
        return np.zeros(len(asked), bool)
    return np.asarray(names[np.minimum(np.searchsorted(names, asked), len(names) - 1)] == asked)

"""Stage 3: score the lines for this reader and fill the token budget."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracewinnow.transforms import tokens
from tracewinnow.transforms.classify import TROUBLE
from tracewinnow.transforms.lines import shorten
from tracewinnow.transforms.reading import Reading
from tracewinnow.transforms.render import clean, marker_tokens
from tracewinnow.transforms.score import View, first_lines
from tracewinnow.transforms.select import choose, worth
from tracewinnow.transforms.words import NAMES, bits_of

HEALTHY = 9.0  # log-odds below zero of a line that every healthy run prints: below what any line has by itself
ASKED = 12.0  # log-odds that a line wins when it holds every word of the query: more than any cause has
LEVELS = ((50, 1.5), (40, 1.0), (30, 0.3), (20, 0.0), (1, -1.0))  # of Python's logging: from level on, log-odds
EVENTS = {"crash": 20.0, "stop": 3.0, "start": 1.0}
WORD = re.compile(r"\w{2,}")
LARGEST_TOKEN = 16  # characters; a log of more of them for each token cannot fit
WORDS = 2  # of a template, and of its first BEGIN bytes, that say how a line begins
BEGIN = 200
FAILED_TEST = bits_of("failed_test")
FRAME, INDENTED, RAISED = bits_of("frame"), bits_of("indented"), bits_of("raised", "traceback")
PYTHON = 'File "'  # in a frame of Python's
CARET, CARETS = bits_of("caret"), re.compile(r"[\s|\d]*[\^~][\s^~|-]*")
PARTS = bits_of("frame", "caret", "code")  # of a stack or an excerpt of source
BACKGROUND = 1.5  # log-odds that a frame of a library, or amid a stack, loses: the own code and the reason say more
OUTER = 4  # frames at either end of a stack that keep their worth
BELOW = 2  # lines of source and carets that Python prints below a frame
# Where installed packages, standard libraries and test runners stand, in paths and in names of functions.
LIBRARY = re.compile(
    r"(?:site|dist)-packages|[/\\]lib[/\\]python\d|<frozen |node_modules[/\\]|node:internal|[(\s]internal/(?:process|modules)"
    r"|java\.base/|\b(?:java\.(?:lang|util)|jdk\.internal|sun\.(?:misc|reflect|nio|net)|org\.(?:junit|apache\.maven|gradle))\."
    r"|[/\\]\.cargo[/\\]registry|/rustc/|(?:\bin|\d:|-) (?:core|std|alloc)::|/go/(?:src|pkg/mod)/|/gems/|/usr/(?:lib|include)/"
)
CROWDED = 0.6  # log-odds that a line loses each time that the number of templates with its signals of trouble doubles,
CROWD = 100  # from so many on
TELLING = bits_of(*NAMES[: NAMES.index("frame")])
BYTES_A_TOKEN = 4  # about
LARGEST_SHARE = 3  # a line may take one part in three of the budget; what is longer is shortened


def kind_of(template: bytes, bits: int) -> bytes:
    """What it shares with others that say much the same: that a test failed, else how it begins."""
    if bits & FAILED_TEST:
        return b"failed test"
    return b" ".join(template[:BEGIN].split(None, WORDS)[:WORDS])


def relevance(shown: list[str], query: str) -> npt.NDArray[np.float32]:
    """How much of the query each line speaks of, rare words counting more: float32[n] in [0, 1]."""
    words = sorted({word.lower() for word in WORD.findall(query)})
    n = len(shown)
    found = np.zeros(n, np.float32)
    total = 0.0
    if not words or not n:
        return found
    lower = [line.lower() for line in shown]
    for word in words:
        hits = np.fromiter((word in line for line in lower), bool, n)
        weight = math.log(1 + n / (1 + int(hits.sum())))
        total += weight
        found[hits] += weight
    return np.asarray(found / total, np.float32)


def adjust(
    score: npt.NDArray[np.float32],
    reading: Reading,
    healthy: npt.NDArray[np.float32],
    query: str,
    levels: list[int],
    events: list[str],
) -> npt.NDArray[np.float32]:
    """The score for this reader: what healthy runs print counts less, what the query asks for and what the job reported, more."""
    # What every healthy run prints says nothing by its words: all of it is worth the same.
    value = score * (1 - healthy) - HEALTHY * healthy
    if query:
        value = value + ASKED * relevance(reading.shown, query)
    if levels:
        level = np.array(levels)
        value = value + np.select([level >= least for least, _ in LEVELS], [gain for _, gain in LEVELS], 0.0)
    for line, event in enumerate(events):
        if event:
            value[line] += EVENTS.get(event, 0.0)
    return value.astype(np.float32)


def crowd(view: View) -> npt.NDArray[np.float32]:
    """Log-odds that each line loses where many templates tell of trouble by the same signals: float32[n].

    Among a million lines that say `failed`, each in other words, the best by chance would stand before the one that says more.
    """
    told = view.bits[first_lines(view.template)] & TELLING
    _, which, count = np.unique(told, return_inverse=True, return_counts=True)
    loss = np.where(told != 0, CROWDED * np.log2(np.maximum(1, count / CROWD))[which], 0)
    return loss.astype(np.float32)[view.template]


def background(reading: Reading) -> npt.NDArray[np.bool_]:
    """Frames of installed packages and standard libraries, those amid a deep stack, and the source that Python prints below.

    bool[n]. A line that tells of trouble is none, wherever it stands.
    """
    bits, block = reading.view.bits, reading.view.block
    found = np.zeros(len(bits), bool)
    frames = np.flatnonzero(bits & FRAME)
    shown = [reading.shown[line] for line in frames.tolist()]
    library = np.array([LIBRARY.search(text) is not None for text in shown], bool)
    chosen = library | amid(frames, reading.view)
    found[frames[chosen]] = True
    below = frames[chosen & np.array([PYTHON in text for text in shown], bool)]
    for _ in range(BELOW):
        below = below[below + 1 < len(bits)] + 1
        below = below[
            (block[below] == block[below - 1]) & ((bits[below] & FRAME) == 0) & ((bits[below] & INDENTED) != 0)
        ]
        found[below] = True
    return np.asarray(found & ((bits & (TROUBLE | RAISED)) == 0))


def amid(frames: npt.NDArray[np.int64], view: View) -> npt.NDArray[np.bool_]:
    """Which of the frames have OUTER or more of their stack on either side: bool[len(frames)]. frames: lines, ascending.

    A stack ends with its block, and with a line that is neither a frame nor deeper than the margin, or that was raised.
    """
    if not len(frames):
        return np.zeros(0, bool)
    inside = ((view.bits & (FRAME | INDENTED)) != 0) & ((view.bits & RAISED) == 0)
    outside = np.cumsum(~inside)
    goes_on = (outside[frames[1:]] == outside[frames[:-1]]) & (view.block[frames[1:]] == view.block[frames[:-1]])
    first = np.flatnonzero(np.append(True, ~goes_on))
    sizes = np.diff(np.append(first, len(frames)))
    before = np.arange(len(frames)) - np.repeat(first, sizes)
    return np.asarray((before >= OUTER) & (np.repeat(sizes, sizes) - 1 - before >= OUTER))


@dataclass(slots=True)
class Costs:
    """Text and tokens of single lines, worked out when they are asked for."""

    shown: list[str]
    budget: int
    _text: dict[int, str]
    _tokens: dict[int, int]

    def said(self, line: int) -> str:
        """What a line says, whole: cheap, for telling repeats."""
        return clean(self.shown[line]).rstrip()

    def text(self, line: int) -> str:
        """What would be printed for a line: what it says, shortened if it took too much of the budget."""
        if line not in self._text:
            text = self.said(line)
            # A token has a byte at least, so most lines are known to fit without being counted.
            if len(text) > 80 and len(text.encode()) >= self.most and self._count(line, text) > self.most:
                longest = max(40, int(len(text) * self.most / self._tokens[line] * 0.8))
                text = shorten(text, longest, longest * 2 // 3)
                self._count(line, text)
            self._text[line] = text
        return self._text[line]

    def tokens(self, line: int) -> int:
        """Its tokens, the line end included."""
        text = self.text(line)
        return self._tokens[line] if line in self._tokens else self._count(line, text)

    def about(self, line: int) -> int:
        """Its tokens where they were counted; else, for what was drawn and not chosen, about as many."""
        return self._tokens[line] if line in self._tokens else len(self.text(line)) // 3 + 1

    @property
    def most(self) -> int:
        """Tokens that a line may take."""
        return max(24, self.budget // LARGEST_SHARE)

    @property
    def longest(self) -> int:
        """Bytes of a line, about: what is longer is shortened."""
        return BYTES_A_TOKEN * self.most

    def _count(self, line: int, text: str) -> int:
        self._tokens[line] = found = tokens.count(text + "\n")
        return found


def rank(
    reading: Reading,
    value: npt.NDArray[np.float32],
    budget: int,
    kept: npt.NDArray[np.bool_] | None = None,
) -> tuple[npt.NDArray[np.bool_], Costs]:
    """Which lines the budget buys: bool[n]; and what each costs."""
    costs = Costs(reading.shown, budget, {}, {})
    size = np.fromiter(map(len, reading.shown), np.int64, len(reading.shown))
    if (
        len(size) <= budget
        and int(size.sum()) < LARGEST_TOKEN * budget
        and sum(map(costs.tokens, range(len(size)))) <= budget
    ):
        return np.ones(len(size), bool), costs  # all of it fits
    size = np.minimum(size, costs.longest)
    view, repeats = reading.view, reading.repeats
    blank = (view.bits & bits_of("blank")) != 0
    carets = np.flatnonzero(view.bits & CARET)
    # Carets say where in the line beside them: alone they say nothing.
    blank[carets] = [CARETS.fullmatch(reading.shown[line]) is not None for line in carets.tolist()]
    calm = (view.bits & TROUBLE) == 0
    paid = worth(value, repeats.nth, repeats.count, repeats.copy, calm, (view.bits & PARTS) != 0)
    paid[background(reading)] -= BACKGROUND
    silent = reading.silent  # others may have said the same before: here who did not say more is what counts
    paid[silent] = np.maximum(paid[silent], value[silent])
    marker = marker_tokens(len(reading.shown))

    kinds: dict[int, bytes] = {}  # of templates

    def kind(line: int) -> bytes:
        template = int(view.template[line])
        if template not in kinds:
            kinds[template] = kind_of(reading.templates[template], int(view.bits[line]))
        return kinds[template]

    return choose(paid, size, blank, view.block, kind, costs.said, costs.tokens, marker, budget, kept), costs

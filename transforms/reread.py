"""A second look: the encoder reads the blocks over whose class the fast model is in doubt, and the two are heard together."""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tracewinnow.models import registry
from tracewinnow.models.denoiser.encoder import Encoder
from tracewinnow.models.denoiser.wordpiece import WordPiece
from tracewinnow.transforms.classify import ACTIONABLE
from tracewinnow.transforms.features import probabilities
from tracewinnow.transforms.judge import RULES
from tracewinnow.transforms.passages import known_names, known_of, passage
from tracewinnow.transforms.reading import Reading
from tracewinnow.transforms.score import Floats, View, sorted_groups
from tracewinnow.transforms.words import bits_of

FILE, WORDS = "encoder.onnx", "words.npz"
FAST = "fast"  # the value of TRACEWINNOW_DENOISER that leaves the second look out
DOUBT = 0.9  # probability of the likeliest class below which a block is read
MOST = 8  # kinds of blocks of a trace that are read, those in most doubt first: some 50 milliseconds on two cores,
SHORT, MOST_OF_SHORT = 1000, 64  # and of a trace of fewer lines, which takes little time otherwise
SHARE = 0.4  # of the encoder in the sum of logarithms

_loading = threading.Lock()


def reread(encoder: Encoder, reading: Reading, rules: Floats, p: Floats) -> Floats:
    """Probabilities of the classes, alike within a block: float32[n, 4] -> float32[n, 4]. rules: float32[n], score of the rules.

    Blocks of the same templates are one kind, read where it first stands.
    """
    kinds = doubtful(reading.view, p)
    if not kinds:
        return p
    known = known_of(reading.view, rules)
    first = [blocks[0] for blocks in kinds]
    passages = [passage(reading.templates, reading.view.template, lines.tolist()) for lines in first]
    said = encoder.logits(passages, np.array([known[lines].max(axis=0) for lines in first]))
    told: Floats = p.copy()
    for blocks, opinion in zip(kinds, said, strict=True):
        together = fused(p[[lines[0] for lines in blocks]], opinion[None])
        for lines, row in zip(blocks, together, strict=True):
            told[lines] = row
    return told


def doubtful(view: View, p: Floats) -> list[list[npt.NDArray[np.int64]]]:
    """The kinds of blocks in doubt that are read, those in most doubt first, of equals the first; of each kind the lines of its
    blocks in doubt, in order. Blank blocks are of no kind."""
    if not len(p):
        return []
    order, starts = sorted_groups(view.block)
    first = order[starts[:-1]]
    sure = p[first].max(axis=1)
    ranked = np.lexsort((first, sure))
    ranked = ranked[: np.count_nonzero(sure < DOUBT)]
    speaks = np.logical_or.reduceat((view.bits[order] & bits_of("blank")) == 0, starts[:-1])
    ranked = ranked[speaks[ranked]]
    most = MOST_OF_SHORT if len(p) < SHORT else MOST
    found: dict[bytes, list[npt.NDArray[np.int64]]] = {}
    begins: set[int] = set()  # templates that the chosen kinds begin with: most blocks need no closer look
    heads = view.template[first]
    for b, head in zip(ranked.tolist(), heads[ranked].tolist(), strict=True):
        if len(found) == most and head not in begins:
            continue
        lines = order[starts[b] : starts[b + 1]].astype(np.int64)
        kind = view.template[lines].tobytes()
        if kind in found:
            found[kind].append(lines)
        elif len(found) < most:
            found[kind] = [lines]
            begins.add(head)
    return [sorted(blocks, key=lambda lines: int(lines[0])) for blocks in found.values()]


def fused(fast: npt.NDArray[np.floating], said: Floats) -> Floats:
    """Both opinions, as a weighted mean of logarithms. fast: float[n, 4], probabilities; said: float32[n, 4], log-odds.

    The encoder may raise the probability of actionable, never lower it: it misses time-outs that the fast model sees.
    """
    logs = (1 - SHARE) * np.log(np.maximum(fast, 1e-9)) + SHARE * np.log(np.maximum(probabilities(said), 1e-9))
    told = probabilities(np.asarray(logs, np.float32))
    raised = np.maximum(told[:, ACTIONABLE], fast[:, ACTIONABLE])
    told[:, ACTIONABLE + 1 :] *= ((1 - raised) / np.maximum(1 - told[:, ACTIONABLE], 1e-9))[:, None]
    told[:, ACTIONABLE] = raised
    return told


def prepare() -> None:
    """Begin to load the encoder beside what comes before it; does not block.

    A process that ends meanwhile waits for it, some tenths of a second: else the runtime would abort it.
    """
    if not _load.cache_info().currsize:
        threading.Thread(target=encoder).start()


def encoder(folder: Path = registry.FOLDER) -> Encoder | str:
    """The shipped encoder, or why there is none. Loads once a process, in some tenths of a second."""
    with _loading:
        return _load(folder)


@functools.lru_cache(maxsize=2)
def _load(folder: Path) -> Encoder | str:
    said = os.environ.get("TRACEWINNOW_DENOISER")
    if said in (FAST, RULES):
        return f"TRACEWINNOW_DENOISER says {said}"
    if said:
        return f"TRACEWINNOW_DENOISER says {said!r}: give {RULES!r} or {FAST!r}, or nothing for all models"
    try:
        model, words = registry.content(FILE, folder), registry.arrays(WORDS, folder)
        if [str(one) for one in words["known_names"]] != known_names():
            return "the encoder was made for other signals than this version has"
        return Encoder(model, WordPiece(words["pieces"].tolist()), str(words["version"]))
    except ImportError:
        return "ONNX Runtime is not installed: pip install 'tracewinnow[winnow]'"
    except Exception as wrong:  # noqa: BLE001 - the runtime raises its own kinds; the fast model answers whatever it is
        return f"the encoder cannot be loaded: {wrong}"

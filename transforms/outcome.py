"""Whether a run failed or completed, from its log alone: what looks like an error in a run that completed was none.

A linear model over features of the whole log: how it ends, and where the strongest trouble stands. Each weight is held to its sign
(trouble near the end never speaks for a run that completed), so that what one source does by chance is not learned. It is asked
only where no event tells the outcome, and one thing follows from its answer: where it is sure that the run completed, the log-odds
of a line to be actionable are lowered, by MOST at most, so that strong evidence stands whatever the end looks like.
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
from tracewinnow.transforms.classify import ACTIONABLE, no_number
from tracewinnow.transforms.score import Floats, View
from tracewinnow.transforms.signals import holds
from tracewinnow.transforms.words import bits_of

FILE = "outcome.npz"
SLOPE, MARGIN = 4.0, 0.75  # the shift of a line's log-odds: SLOPE for each unit of the run's below -MARGIN,
MOST = 4.0  # but no more than this
TAILS = (10, 40)  # lines
LAST = 20  # lines whose text is read
READ = 300  # characters of each, its last
NEAR = 20.0  # lines: how fast what stands before the end loses weight
SUREST = 6.0  # log-odds at which a line's are cut off

FINAL = ("exit", "verdict", "summary", "raised", "failed_test")

LOUD = bits_of(
    "exception", "error_label", "fatal", "failed_loud", "raised", "traceback", "timeout", "exit", "verdict", "summary",
    "failed_test", "nan_value",
)  # fmt: skip
PROGRESS = bits_of("step", "lifecycle", "passed", "fetch", "build")

# What is said at the end of a run that completed, where it is not said of a server or a process that was put away.
ENDED_WELL = tuple(
    frozenset(words.split())
    for words in (
        "finished finishing complete completed completion done success successful successfully succeeded passed pass ok ✓ ✔",
        "saved saving wrote written exported exporting uploaded uploading pushed pushing published publishing created creating"
        " stored archived archiving report",
        "total final overall elapsed took duration summary result results wall runtime best finally average mean",
    )
)
WORD = re.compile(r"\w+|[✓✔]")
CODES = ("code", "status", "rc", "exit", "return", "signal", "0:0")  # one of them stands where a code does
NAMED = (  # what names a code, and what may stand between them; `status 200` is HTTP, `status: 100%` is progress
    r"\b(?:exit(?:ed)?|(?:exit|return|ret)?[ _-]?(?:code|status|value)|rc|returned|signal)[\"']?"
    r"(?: with)?(?: (?:exit )?(?:code|status|value))?(?: of| is| was)?[ :=]*(?:['\"(\[] ?)?"
)
NO_MORE = r"\b(?![%/]|\.\d| ?%| of \d| [a-z]+s\b)"
ZERO = re.compile(rf"{NAMED}0(?:x0+|:0)?{NO_MORE}(?!:)|\b0:0\b")
PUT_AWAY = re.compile(
    r"shut|stop|clos(?:ed|ing)|clean|terminat|disconnect|server process|cancel|abort|unstable|not_built"
)
CODE = re.compile(
    rf"{NAMED}(?:(?![23]0\d\b)-?[1-9]\d*|0:[1-9]\d*|0x[0-9a-f]*[1-9a-f]|(?:neg)?sig[a-z]+){NO_MORE}"
)  # not zero
OF = re.compile(r"(?<![\d./:-])(\d{1,9}) ?(?:/|of) ?(\d{1,9})(?![\d/:-]|\.\d)")  # 3/10, 3 of 10; no dates
PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)? ?%\|?")


@dataclass(slots=True)
class Outcome:
    """weights: float32[features], over features as they are; bias. version: 12 hex digits."""

    weights: Floats
    bias: float
    version: str

    def log_odds(self, view: View, shown: Sequence[str], actionable: Floats, rules: Floats) -> float:
        """Log-odds that the run did not complete; arguments as those of features()."""
        return float(features(view, shown, actionable, rules) @ self.weights) + self.bias


@functools.lru_cache(maxsize=2)
def shipped(folder: Path = registry.FOLDER) -> Outcome | str:
    """The shipped model, or why there is none. Loads once a process."""
    try:
        found = registry.arrays(FILE, folder)
        if [str(one) for one in found["feature_names"]] != names():
            return f"{FILE} was made for other features than this version has"
        weights = np.asarray(found["weights"], np.float32)
        if weights.shape != (len(names()),):
            return f"{FILE} has weights of shape {weights.shape}, not one for each of {len(names())} features"
        return Outcome(weights, float(found["bias"]), str(found["version"]))
    except (registry.ModelUnavailable, KeyError, ValueError) as wrong:
        return str(wrong)


def quieter(probability: Floats, view: View, outcome: float) -> Floats:
    """Probabilities of the classes after the run was judged: float32[n, 4]. outcome: log-odds that it did not complete.

    The log-odds of actionable are lowered by min(MOST, SLOPE * (-outcome - MARGIN)), where that is more than 0; the other classes
    share what it loses as they stand. A block with a number that is none keeps its word.
    """
    down = min(MOST, SLOPE * (-outcome - MARGIN))
    if down <= 0 or not len(probability):
        return probability
    p = np.clip(probability[:, ACTIONABLE], 1e-6, 1 - 1e-6)
    less = 1 / (1 + np.exp(np.log((1 - p) / p) + down))
    less = np.where(no_number(view), p, less)
    found = probability * ((1 - less) / (1 - p))[:, None]
    found[:, ACTIONABLE] = less
    return np.asarray(found, np.float32)


def features(view: View, shown: Sequence[str], actionable: Floats, rules: Floats) -> Floats:
    """Features of a log: float32[len(names())].

    shown: visible text of each line. actionable: float32[n], log-odds of each line to be actionable, by the fast model. rules:
    float32[n], what the rules' score says. Blank lines are left out; a log without any other is all zeros.
    """
    live = np.flatnonzero((view.bits & bits_of("blank")) == 0)
    if not len(live):
        return np.zeros(len(names()), np.float32)
    bits, template = view.bits[live], view.template[live]
    said, score = np.clip(actionable[live], -SUREST, SUREST), np.clip(rules[live], -8, SUREST)
    text = [shown[line][-READ:] for line in live[-LAST:].tolist()]
    found = [
        *strength(said),
        *strength(score),
        *standing(said > 0, bits, template),
        *standing(score > 0, bits, template),
        *standing((bits & LOUD) != 0, bits, template),
        *signals_near(bits),
        *words_at_end(text, bits[-LAST:]),
        *stopped(text, bits, np.bincount(template)[template]),
    ]
    return np.array(found, np.float32)


def signed_names() -> dict[str, float]:
    """Names of the features in order, each with its sign: +1 where more of it speaks for a failure, -1 where against one."""
    found: dict[str, float] = {}
    for of in ("said", "score"):
        found |= {f"{of}_last_{tail}": 1.0 for tail in TAILS} | {
            f"{of}_most": 1.0,
            f"{of}_less_at_end": -1.0,
            f"{of}_at": 1.0,
        }
    for of in ("said", "score", "loud"):
        found |= {f"{of}_any": 1.0, f"{of}_share": 1.0, f"{of}_kinds": 1.0, f"{of}_near": 1.0}
        found |= {f"{of}_behind": -1.0, f"{of}_progress_behind": -1.0, f"{of}_repeated": -1.0}
    found |= {f"{name}_near": 1.0 for name in FINAL}
    for name in ("done", "saved", "total", "zero", "code"):
        found |= {f"{name}_{tail}": 1.0 if name == "code" else -1.0 for tail in (1, 5, LAST)}
    return found | {
        "full": -1.0, "full_last": -1.0, "part": 1.0,
        "common_last": 1.0, "common_last_5": 1.0, "step_last": 1.0, "indented_last": 1.0, "frame_last_3": 1.0,
    }  # fmt: skip


@functools.lru_cache(maxsize=1)
def names() -> list[str]:
    """Names of the features, in order."""
    return list(signed_names())


def strength(values: Floats) -> list[float]:
    """Of the last lines of TAILS and of all, how much less the end has, and where the last of the strongest stands, in 0 to 1."""
    most = float(values.max())
    ends = [float(values[-tail:].max()) for tail in TAILS]
    return [*ends, most, most - ends[0], 1 - int(np.argmax(values[::-1])) / len(values)]


def standing(
    strong: npt.NDArray[np.bool_], bits: npt.NDArray[np.uint64], template: npt.NDArray[np.int64]
) -> list[float]:
    """Lines of trouble: whether there are any, their share, kinds, how near the end, and what comes behind the last of them."""
    at = np.flatnonzero(strong)
    last = int(at[-1]) if len(at) else -1
    behind = len(bits) - 1 - last
    kinds = float(np.log1p(np.count_nonzero(np.bincount(template[at]))))
    went_on = int(((bits[last + 1 :] & PROGRESS) != 0).sum())
    return [
        float(len(at) > 0),
        len(at) / len(bits),
        kinds,
        float(np.exp(-behind / NEAR)) if len(at) else 0.0,
        float(np.log1p(behind)),
        float(np.log1p(went_on)),
        float(np.log1p(len(at))) - kinds,
    ]


def signals_near(bits: npt.NDArray[np.uint64]) -> list[float]:
    """How near the end the last line stands that has each signal of FINAL: 1 at the end, 0 where there is none."""
    found = []
    for name in FINAL:
        at = np.flatnonzero((bits & bits_of(name)) != 0)
        found.append(float(np.exp((at[-1] - len(bits) + 1) / NEAR)) if len(at) else 0.0)
    return found


def words_at_end(text: list[str], bits: npt.NDArray[np.uint64]) -> list[float]:
    """What the last lines say of how the run ended, and whether what they count is complete."""
    said: list[list[bool]] = [[] for _ in range(len(ENDED_WELL) + 2)]
    wrong = (bits & bits_of("error", "failed")) != 0  # `finished with errors`, but not `finished, 0 errors`
    calm = ((bits & LOUD) == 0) & (~wrong | ((bits & bits_of("none")) != 0))
    for line, quiet in zip((line.lower() for line in text), calm.tolist(), strict=True):
        words = set(WORD.findall(line))
        coded = holds(line, CODES)
        hits = [not words.isdisjoint(some) for some in ENDED_WELL]
        hits.append(coded and ZERO.search(line) is not None)
        if not quiet or (any(hits) and PUT_AWAY.search(line)):
            hits = [False] * len(hits)
        hits.append(coded and CODE.search(line) is not None)
        for column, hit in zip(said, hits, strict=True):
            column.append(hit)
    *well, code = said
    if True in code:  # what went well before it is not the last word
        behind = len(code) - code[::-1].index(True)
        well = [[False] * behind + column[behind:] for column in well]
    found = [float(any(column[-tail:])) for column in (*well, code) for tail in (1, 5, LAST)]
    counted = [share for share in map(progress, text) if share is not None]
    return [
        *found,
        float(any(share == 1 for share in counted)),
        float(bool(counted) and counted[-1] == 1),
        float(bool(counted) and max(counted) < 1),
    ]


def progress(line: str) -> float | None:
    """How far a line says that it is, 0 to 1: `3/10`, `3 of 10`, `30%|`. None where it counts nothing."""
    counts = OF.findall(line) if "/" in line or "of" in line else []
    shares = [int(a) / int(b) for a, b in counts if int(b) > 1 and int(a) <= int(b)]
    if "%" in line and ("|" in line or "[" in line):
        shares += [int(percent) / 100 for percent in PERCENT.findall(line) if int(percent) <= 100]
    return max(shares, default=None)


def stopped(text: list[str], bits: npt.NDArray[np.uint64], count: npt.NDArray[np.int64]) -> list[float]:
    """Whether the log stops in the middle of something: with a line that was said often, a step, or a part of a block."""
    return [
        float(np.log1p(count[-1])),
        float(np.log1p(count[-5:]).mean()),
        float((bits[-1] & bits_of("step")) != 0),
        float((bits[-1] & bits_of("indented")) != 0),
        float(((bits[-3:] & bits_of("frame", "caret", "code")) != 0).any()),
    ]

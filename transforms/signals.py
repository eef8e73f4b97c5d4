"""What a line says by its words and its shape: the signals that the rules and the score are made of.

Signals are general. A line costs about 15 microseconds once for each template: its words (words.py) are looked up, phrases
(phrases.py) and patterns (patterns.py) searched for where a word that they need stands in it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

from tracewinnow.kernels import kernel
from tracewinnow.models.denoiser.message import shaped
from tracewinnow.transforms import patterns
from tracewinnow.transforms.phrases import PHRASES
from tracewinnow.transforms.words import BIT, NAMES, bits_of, said

LOOKED_AT, TAIL = 600, 150  # characters of a line, and of these at its end

TROUBLE = BIT["error"] | BIT["failed"] | BIT["fatal"] | BIT["exception"] | BIT["error_part"]
WRONG = int(bits_of(*NAMES[: NAMES.index("summary")]))
DONE = int(bits_of("passed", "fetch", "lifecycle"))
# A line that says one of these is no name, whatever ends it.
REASON = int(bits_of("error_label", "raised", "exception", "fatal", "timeout", "nonfinite", "hardware"))
ENDS = (
    "exit", "return", "status", "kill", "died", "terminat", "finish", "complete", "fail", "abort", "fault", "bus error", "signal",
    "rc=", "rc:", "rc ", "retcode", "illegal instruction", "floating point", "non-zero", "nonzero",
)  # fmt: skip
NOTHING = ("0", "no ", "normally", "zero", "without", "none", "false", "[]", "null")
TRACES = ("trace", "caused by", "exception", "goroutine", "thread", "panic")


def versioned(text: str) -> bool:
    """Whether three numbers stand with dots between them."""
    compiled = kernel("transforms._signals")
    return (
        bool(compiled.version(text))
        if compiled is not None and text.isascii()
        else patterns.VERSION.search(text) is not None
    )


def holds(text: str, some: Iterable[str]) -> bool:
    """Whether one of them is in the text; `any` over a generator takes three times as long."""
    for one in some:  # noqa: SIM110
        if one in text:
            return True
    return False


def look(text: str) -> int:
    """Signals of a judged line, as bits (BIT). What depends on the value of a number is in `counted`."""
    if not text or text.isspace():
        return BIT["blank"]
    length = len(text)
    text = ends(text)
    bits = said(text)
    lower = text.lower()
    for hint, phrase, name in PHRASES:
        if hint in lower and phrase.search(text):
            bits |= BIT[name]
    message = shaped(text)
    for name, finds in patterns.SHAPES:
        if finds(message):
            bits |= BIT[name]
    if patterns.BUILD.match(text):
        bits |= BIT["build"]
    if ("." in text and (":" in text or "(" in text)) or "line " in text:
        bits |= any(place.search(text) for place in patterns.PLACES) and BIT["place"]
    if text.count(".") > 1:
        bits |= versioned(text) and BIT["version"]
    if bits & BIT["error"] and "." in text and patterns.MEASURE.search(text):
        bits &= ~(BIT["error"] | BIT["error_part"])
    if bits & (BIT["timeout"] | BIT["status"]) and patterns.SETS.match(text):
        bits = bits & ~WRONG | BIT["setting"]
    if bits & DONE and bits & (BIT["refusal"] | BIT["failed"]) and patterns.UNDONE.search(text):
        bits &= ~DONE
    if bits & BIT["place"]:
        bits |= patterns.FOUND.match(text) is not None and BIT["error_label"]
    if bits & TROUBLE or text[0] in "EF" or "[E" in text or "[F]" in text:
        bits |= patterns.ERROR_LABEL.search(text) is not None and BIT["error_label"]
        bits |= patterns.LOUD.search(text) is not None and BIT["failed_loud"]
        bits |= patterns.EXPECTED.search(text) is not None and BIT["handled"]
    first = text.lstrip()[:1]
    if bits & TROUBLE or ") " in text[:9] or "not ok" in text[:20] or first in "✗✖✘×❌●✕[":
        bits |= patterns.FAILED_TEST.search(text) is not None and BIT["failed_test"]
    if (bits & WRONG or first in "[✓✔√") and not bits & (BIT["failed_test"] | BIT["failed_loud"]):
        bits = without_name(text, bits)
    if bits & TROUBLE:
        bits |= patterns.VERDICT.search(text) is not None and BIT["verdict"]
    if bits & BIT["nonfinite"]:
        if "nan" not in lower and patterns.BOUND.search(text):
            bits &= ~BIT["nonfinite"]
        elif patterns.NAN_VALUE.search(text):
            bits |= BIT["nan_value"]
    if holds(lower, TRACES):
        bits |= patterns.TRACEBACK.search(text) is not None and BIT["traceback"]
    if text[0] in " \t" and text[1:2] in " \t":
        bits |= BIT["indented"]
    if length <= 12:
        bits |= BIT["short"]
    elif length >= 300:
        bits |= BIT["long"]
    return bits | counted(text, bits)


def without_name(text: str, bits: int) -> int:
    """Signals of a line without what the name of a test says, where it names one that passed, was skipped or begins."""
    if patterns.PASSED_TEST.match(text) or (not bits & REASON and patterns.PASSED_END.search(text)):
        return bits & ~WRONG | BIT["passed"]
    return bits & ~WRONG if patterns.NAMED_TEST.match(text) else bits


def ends(text: str) -> str:
    """Head and tail of a long line: what it says stands there, and patterns cost by length."""
    return text if len(text) <= LOOKED_AT else f"{text[: LOOKED_AT - TAIL]} {text[-TAIL:]}"


NUMBER = re.compile(r"(?<![\w.])-?\d+|\d+")
COUNTED = BIT["summary"] | BIT["exit"] | BIT["none"]
OTHERWISE = (("0",), ("1",), ("-1",), ("0", "1"), ("1", "0"))  # numbers that a line may have instead


def hangs(text: str, bits: int) -> bool:
    """Whether the same line with other numbers may have other signals. bits: those that it has."""
    return any(counted(renumbered(text, values), bits & ~COUNTED) != bits & COUNTED for values in OTHERWISE)


def renumbered(text: str, values: Sequence[str]) -> str:
    """The text with these values in the place of its numbers, over and over."""
    endless = itertools.cycle(values)
    return NUMBER.sub(lambda _: next(endless), text)


def counted(text: str, bits: int) -> int:
    """The signals that change with the value of a number: `exit code 0` is not `exit code 1`."""
    found = 0
    text = ends(text)
    lower = text.lower()
    ended = holds(lower, ENDS)
    if bits & TROUBLE or "offen" in lower or "issues" in lower:
        found |= patterns.SUMMARY.search(text) is not None and BIT["summary"]
    if "0 " in text or text[-1] == "0":
        found |= patterns.EMPTY.search(text) is not None and BIT["summary"]
    if ended:
        found |= patterns.EXIT.search(text) is not None and BIT["exit"]
    if (ended or bits & WRONG) and not found and holds(lower, NOTHING):
        found |= patterns.NONE.search(text) is not None and BIT["none"]
    return found

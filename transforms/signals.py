"""What a line says by its words and its shape: the signals that the rules and the score are made of.

Signals are general: a word means the same whatever program prints it. A line costs about 15 microseconds once for each template;
words are remembered, because they repeat even where lines do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from tracewinnow.kernels import kernel
from tracewinnow.transforms.phrases import PHRASES

NAMES = (
    # words that say that something went wrong
    "exception", "error", "error_label", "error_part", "fatal", "failed", "failed_loud", "assertion", "refusal", "timeout",
    "nonfinite", "hardware", "status",
    "nan_value",
    # whole phrases: a count of failures, an exit status, a verdict over a step, the name of a failed test
    "summary", "exit", "verdict", "failed_test", "raised", "traceback",
    # where it went wrong
    "frame", "place", "caret", "code", "diff",
    # words that say that it is harmless
    "none", "handled", "warning", "passed", "fetch", "build", "level_low", "teardown",
    # what the job is or does
    "command", "setting", "version", "step", "lifecycle", "hint",
    # shape
    "rule", "header", "indented", "blank", "short", "long",
)  # fmt: skip
BIT = {name: 1 << i for i, name in enumerate(NAMES)}


def bits_of(*names: str) -> np.uint64:
    """The signals of these names, as bits: for arrays of what lines say."""
    found: np.uint64 = np.uint64(sum(BIT[name] for name in names))
    return found


# Signal -> words, lower case. A trailing * stands for any ending.
WORDS = {
    "error": "error errors err err! errored erroneous problem problems crit ftl emerg",
    "fatal": "fatal panic panicked abort aborted aborting segfault segmentation killed crash crashed crashes crashing deadlock"
    " hang hangs hung halted unhandled uncaught oom oom-kill oom-killer oom_kill oomkilled outofmemory core-dumped"
    " sigsegv sigabrt sigkill sigbus sigfpe sigill coredump dumped critical severe unrecoverable emergency overflow oops stuck died"
    " killing bad_alloc smashing",
    "failed": "fail failed fails failing failure failures unsuccessful unsuccessfully",
    "assertion": "assert asserts asserted asserting assertion assertionerror expect expected expecting expects actual mismatch*"
    " differ differs received want got should",
    "refusal": "cannot could unable not such undefined undeclared denied refused"
    " missing invalid unexpected unrecognized unrecognised unknown illegal unsupported unresolved incompatible conflict conflicts"
    " conflicting corrupt* broken forbidden rejected unreachable unavailable exceed* must required wrong bad malformed violat*"
    " inconsistent redefin* duplicate unauthorized insufficient lost disconnect* reset mismatched stale exhausted leak leaked"
    " unexpectedly dead blocked disappeared expired unbound misaligned locked busy crashloopbackoff imagepullbackoff"
    " errimagepull econnrefused econnreset etimedout enotfound enospc eaddrinuse eacces enoent epipe enomem"
    " closed down fallen unhealthy unimplemented stopped truncated eof quota shortage starv* uninitialized unstable degraded"
    " straggler stragglers slower notready nodenotready backoff but uninitialised unauthorised outdated obsolete unsatisf*"
    " zombie thrashing spike spikes spiked absent revoked suspended circular cyclic premature prematurely flaky flaked",
    "timeout": "timeout timeouts timed-out timedout time-out time-outs deadline stall stalls stalled watchdog unresponsive",
    "nonfinite": "nan nans inf -inf +inf infs non-finite nonfinite infinity diverged diverging divergence exploded exploding"
    " underflow",
    "hardware": "xid ecc nvlink uncorrectable preempt* evict* throttl* infiniband thermal",
    "handled": "ignored ignoring retry retrying retries harmless recovered fallback xfail xfailed xpassed optional skipped"
    " skipping",
    "warning": "warn* deprecat* futurewarning userwarning notice",
    "passed": "ok pass passed passes succeeded success successful successfully complete completed done up-to-date finished",
    "fetch": "download* fetch* install* unpack* extract* collecting receiving resolving cloning cached pull* upload* selecting"
    " preparing get hit added requirement resolved satisfied obtained",
    "step": "step steps iter iteration iterations epoch epochs batch batches global_step loss lr throughput",
    "lifecycle": "checkpoint* saving saved restor* resum* start started starting begin stopp* shutdown initializ* launch* loading"
    " loaded",
    "teardown": "sigterm sigint terminating terminated shutting shutdown closing cleanup cleaning cancelled canceled cancelling"
    " destroying destroyed stopping teardown disconnecting flushing interrupted keyboardinterrupt",
    "hint": "try please see consider suggest* hint re-run rerun",
    "level_low": "info debug trace verbose",
}
EXACT = {word: BIT[name] for name, words in WORDS.items() for word in words.split() if not word.endswith("*")}
STARTS = tuple((word[:-1], BIT[name]) for name, words in WORDS.items() for word in words.split() if word.endswith("*"))

LOOKED_AT, TAIL = 600, 150  # characters of a line, and of these at its end

WORD = re.compile(r"[A-Za-z+-][^\s\"'`(),;:=\[\]{}<>|\\*#]*")
RAISES = re.compile(
    r"(?:[\w$]+[.$])*(?:(?!On[A-Z])[A-Z]\w*(?:Error|Exception|Failure|Fault|Panic|Interrupt|Exceeded)s?|Stop(?:Async)?Iteration)$"
    r"|(?:\w+\.)*(?:exceptions?|errors?|exc)\.(?!(?:New|Is|As|Wrap|Join)\b)[A-Z]\w+$"
)
STATUS = re.compile(r"[A-Z]{3,}(?:_[A-Z]{2,})+$")  # RESOURCE_EXHAUSTED, CUDA_ERROR_LAUNCH_FAILED
LEVEL = re.compile(r"([IWEF])\d{4}$")  # of glog, before the time
NAN_VALUE = re.compile(r"(?:[:=(,\[|]\s*|\s)[-+]?(?:nan|inf)(?:inity)?(?![\w-])(?!\s+[A-Za-z])", re.I)
# Infinity as where a search begins, or as no limit: `improved from inf to 0.5`.
BOUND = re.compile(r"\b(?:from|best\w*(?: \w+)?|patience|timeout|clip\w*|m(?:ax|in)\w*)[ :=]+[-+]?inf\b", re.I)
# An error that is a measure: `validation error: 0.12`.
MEASURE = re.compile(
    r"\b(?:squared|absolute|relative|mean|validation|val|test|train\w*|eval\w*|word|top-?\d|reconstruction|quantization|rounding)"
    r"[ _.]errors?(?: rate)?\s*[:=]?\s*\(?\d*\.\d",
    re.I,
)
IS_PATH = re.compile(r"/|\w\.[A-Za-z]|\w_\w|^-")
ERROR_PART = re.compile(r"error|exception|fail|fault", re.I)

RAISED = re.compile(
    r"(?:\s*(?:Caused by|Suppressed|Exception in thread \"[^\"]{0,80}\"):? )?"
    r"\W{0,12}(?:[\w$]+[.:\\/]+)*(?:[A-Z]\w*(?:Error|Exception|Failure|Fault|Exit|Interrupt|Panic)|Stop(?:Async)?Iteration)\b"
    r"(?: ?[:(\[]|$|\s+-)"
    r"|(?:\w+\.)*(?:(?:exceptions?|errors?|exc)\.[A-Z]\w+|\w+\.(?:\w*error|[A-Z]\w*Expired|Broken\w+))(?:: (?![-+\d.]+\s*$)|$)"
    r"|terminate called "
    r"|\W{0,12}(?:A fatal error has been detected|Fatal Python error:|SIG(?:SEGV|ABRT|BUS|ILL|FPE)\b(?!:))"
)
ERROR_LABEL = re.compile(
    r"(?:^|[\s\[(<|:#*!\]])(?:(?i:error|fatal|critical|severe)|ERR|E)(?:\[\w+\]|\(\w+\)| [A-Z]{1,5}\d{2,5})?\]?(?::|!|\]|\)|>| -|$)"
    r"|\b(?:ERROR|FATAL|CRITICAL|SEVERE)\b|^E\s{2,}|^E\d{4}\s|\[[EF](?:\]|:\w)|^[EF] [\w./-]+\.[a-z]{1,4}:\d+\]"
)
# How compilers and linters say what they found, and where: `a.py:3:1: F401 ...`; a warning or note is none.
FOUND = re.compile(
    r"\s*[\w./\\@+-]{1,200}\.\w{1,8}"
    r"(?::\d+:\d+:? +(?!(?:warning|warn|note|info|debug|hint|help|style|remark)\b)[A-Za-z'\"`]|:\d+:? [A-Z]{1,5}\d{2,5}:? )",
    re.I,
)
LOUD = re.compile(r"\bFAIL(?:ED|URE|URES|ING|S)?\b|^\s*(?:Failure|Failures|Failed|Fail)\b")
FAILED_TEST = re.compile(
    r"^\s*(?:--- FAIL|\d{1,4}\) \S|not ok \d|FAIL(?:ED)?[: ]|[✗✖✘×❌✕]\s|●\s(?!\S+\.(?:service|socket)\b))"
    r"|^\s*(?:\[-\]|\[ *FAIL(?:ED)? *\])"
    r"|\bFAILED\s*(?:\[[^\]]*\])?\s*$|<<< (?:FAILURE|ERROR)|\[FAIL\]|\.\.\. ?(?:FAILED|FAIL|ERROR|Failed)\b"
    r"|\*\*\*(?:Failed|Timeout|Exception|Not Run)\b"
)
PASSED_TEST = re.compile(
    r"\s*(?:\[\+\] |[✓✔√] (?!\d+ passed)|ok \d|--- PASS|PASS(?:: (?!\d)| )|XFAIL |\[ *(?:OK|PASS(?:ED)?) *\])"
)
PASSED_END = re.compile(
    r"(?<![Nn][Oo][Tt] )(?<!\d )\b(?:PASSED|OK)\s*(?:\[[^\]]*\]|\([^)]*\))?\s*$|\.\.\. ?(?:ok|[Pp]assed)\b(?: \([^)]*\))?\s*$"
)
NAMED_TEST = re.compile(
    r"\s*(?:=== (?:RUN|CONT|PAUSE)|\[ RUN +\]|# Subtest:|--- SKIP|\S+::\S+ SKIPPED\b|[○↓] |\* \[new \w+\]|HEAD is now at "
    # A probe of what a system has; `no` is an answer.
    r"|(?:-- )?(?:Performing Test|Looking for|[Cc]hecking (?:for|if|whether)|Check if)\b"
    r".*(?:- [Ff]ailed|- not found|(?:\.\.\.|:) *no)\s*$)"
)
SUMMARY = re.compile(
    r"(?<![\w.])[1-9]\d* (?:tests? )?"
    r"(?:failures?|failed|failing|errors?|problems?|issues|offen[cs]es?|broken|unexpected)\b(?! ?[:=] ?\d)"
    r"|(?<!max[_ -])(?:failures?|failed|errors?) ?[:=]\s{0,9}[1-9]|(?<!\b0 )(?<!\bno )tests? failed",
    re.I,
)
CHILD = r"(?:Killed|Aborted|Segmentation fault|Bus error|Illegal instruction|Floating point exception|Abort trap)"
BAD_END = r"(?:-?[1-9]\d*\b|0x[0-9a-f]*[1-9a-f]|(?:Neg)?SIG|signal)"
EXIT = re.compile(
    r"\b(?:exit(?:ed|s|ing)?|terminat\w+|fail\w*|died|killed|exitcode)\b.{0,40}?"
    rf"(?:\b(?:code|status|exitcode|signal)(?: of)?[ :=]*\(?{BAD_END}"
    r"|\b(?:with|by) (?:-?[1-9]\d{0,2}\b(?!\s+[A-Za-z])|SIG|signal))"
    # Of these some speak of HTTP.
    rf"|\b(?:return(?:ed|s)?|finish\w*|completed?|status)\b.{{0,40}}?\b(?:code|status|exitcode|signal)[ :=]*"
    rf"\(?(?!-?[23]0\d\b){BAD_END}"
    r"|\bnon-?zero (?:exit|return|status|error)|returned (?:a )?non-?zero|\breturned -?[1-9]\d{0,2}(?: \(|$)|\bexited:? \(?-?[1-9]"
    r"|\b(?:caught|received|got|by) signal[ :]{1,2}[1-9]"
    r"|\b(?:exit|return)[ _-]?(?:code|status)[\"']?[ :=]+(?:-?[1-9]|0:[1-9])|\bexit[ _-]?codes\b.{0,80}?[^\w.]-[1-9]"
    r"|\brc[ :=]+-?[1-9]"
    # A shell or a launcher says how its child ended.
    rf"|(?:line \d+: +\d+|^\[\d+\][ +-]*|^[+-]? +|\btask \d+:|^\w+:) *{CHILD}\b"
    rf"|^(?:{CHILD}|Terminated)(?:: \d+)?(?: *\(core dumped\))?\s*$",
    re.I,
)
VERDICT = re.compile(
    r"\bbuild (?:failed|failure|errored|broken|stopped|aborted|marked)"
    r"|\b(?:job|task|step|stage|workflow|pipeline|compilation|tests?|command|script|target|goal|process|run|child|worker|rank|"
    r"container|pod|node|execution)\b[^.]{0,60}\b(?:failed|failure|errored|aborted|killed|died|crashed)\b"
    r"|\w*make(?:\[\d+\])?: \*\*\*|recipe for target|root cause|first observed failure",
    re.I,
)
NONE = re.compile(
    r"(?<!non-)\b(?:no|zero|without(?: any)?) (?:\w+ )?"
    r"(?:errors?|failures?|failed|exceptions?|warnings?|problems?|tests failed|issues|offen[cs]es|stragglers|stalls|oom)\b"
    # `rank 0 failed` counts nothing.
    r"|(?<![\w.])0 (?:\w+ )?(?:(?:errors|failures|exceptions|warnings|problems|tests failed)\b|(?:error|warning)\(s\))"
    r"|(?:^|[,;:(|] ?|\b(?:and|with) )0 (?:\w+ )?(?:failed|failing|error|failure)\b"
    r"|(?<![A-Za-z])(?:errors?|failures?|failed|exceptions?)[\"']?\s{0,40}[:=]\s{0,9}(?:0(?:\.0+)?|none|false|\[\]|null)"
    r"(?=[\"']?\s*(?:$|[,;|)}\]]|\w+[\"']?[:=]))"
    r"|\b(?:nans?|infs?|missing|invalid|duplicates?|overflows?|timeouts?|lost|bad|corrupt\w*|unresolved|rejected|evicted"
    r"|errored|ecc|xid|uncorrectable)(?: [\w-]+){0,2} ?[:=]\s*(?:0\b(?![./]?\d)|false\b)"
    r"|(?<![\w.])0 (?:nans?|infs?|missing|invalid|duplicates?|corrupt\w*|lost|bad|unsupported|rejected|critical|unhealthy"
    r"|stalls?|timeouts?|preempt\w+|evict\w+|issues|offen[cs]es|stragglers|unused)\b"
    r"|exit(?:ed)? (?:code|status|with)[ :=]*0\b"
    r"|\b(?:return(?:ed|s)?|terminat\w+|finish\w*|completed?|exit\w*)\b.{0,40}?\b(?:code|status|exitcode)[ :=]*\(?0\b(?!\.\d)",
    re.I,
)
EXPECTED = re.compile(r"expected (?:error|failure|exception)|not an error|continue-on-error|allowed to fail", re.I)
TRACEBACK = re.compile(
    r"Traceback \(most recent call last\)|stack ?trace:|stack backtrace|backtrace:|Current thread 0x"
    r"|^\s*(?:Exception in thread|Caused by:|Unhandled exception|goroutine \d+ \[|thread '.*' panicked|panic:)",
    re.I,
)
FRAME = re.compile(
    r"\s+at \S|\s*File \"|\s*(?:from )?\S+\.\w{1,5}:\d+:in\b|\s*#\d+[: ]|\s+\.\.\. \d+ more|\s*\d+: +0x"
    r"|\s+[\w./@-]+\.\w{1,5}:\d+\b|\S+\(0x[0-9a-f]+|.*\+0x[0-9a-f]+\s*$|\s*\S+ in \S+ at \S+:\d+|\s*frame #\d+"
    r"|[\w.$*/-]+\.(?:\(\*?\w+\)\.)?\w+(?:\.\w+){0,4}\((?:0x|\{|\.\.\.\)$|\)$)|created by \S+ in goroutine"
)
# Each begins with a character that is looked for fast; what stands before it is looked at after it was found.
PLACES = (
    re.compile(r"\.(?<=[\w@+-]\.)[A-Za-z]\w{0,9}[:(\[] ?\d(?!\d*(?:\.\d|[eE]-?\d))"),  # no value: train.loss: 2.3
    re.compile(r"line \d(?<!\wline \d)"),
    re.compile(r":\d+:\d+\b"),
)
CARET = re.compile(r"[\s|]*(?:\d+ \|)?[\s|.]*[\^~][\^~\-\s]*$|\s*-+\^|[>E] {2,}|\s*\|? *\^|\s*-->\s")
CODE = re.compile(r"\s*(?:>|=>)?\s*\d+ ?[|:]\s")
DIFF = re.compile(r"[+-](?![+-])|@@ |(?:\+\+\+|---) \S|\s*[+-] +\S")
COMMAND = re.compile(r"\s*(?:\$ |\+{1,3} \S|> \S|##\[(?:group|command)\]|Run |Executing|running )|\S+@\S+[:~].*[$#] ")
BUILD = re.compile(
    r"\s*(?:\[ *\d+/\d+\]|\[ *\d+%\]|(?:CC|CXX|LD|AR|GEN|Compiling|Building|Linking|gcc|g\+\+|clang|cc|c\+\+|/usr/bin/\S+|checking|"
    r"libtool:|copying|creating|running|adding|\[?(?:INFO|info|DEBUG|debug)\]?)(?!\w))"
)
SETTING = re.compile(r"\s*[\w.\- ]{1,40}(?::| ?=|\.{3,}) ?\S.{0,80}$")
VERSION = re.compile(r"\.(?<=\d\.)\d+\.\d")
RULE = re.compile(r"\s*([=\-_*~#.+<>])\1{3,}")
HEADER = re.compile(
    r"\s*(?:[-_]{7,}|[=\-_*#~]{3,}(?![=\-_*#~]) ?[\w .:,/\[\]()'-]+ ?[=\-_*#~]{3,}|[A-Z][A-Za-z ]{2,40}:)\s*$"
)

# `did not complete`, `is not installed`: no word of success, but of what did not come.
UNDONE = re.compile(
    r"\b(?:not|n't|never|cannot|failed to|unable to|without|before)(?: be)?(?: \w+){0,2}"
    r" (?:pass\w*|complet\w+|success\w*|succeed\w*|finish\w*|ok|install\w*|resolve\w*|satisf\w+|fetch|get|pull|download"
    r"|load\w*|restor\w+|start\w*|initializ\w+|launch\w*)\b",
    re.I,
)
# A whole line that sets how long to wait, or a variable.
SETS = re.compile(
    r"\W{0,12}[\w.-]*(?:timeout|deadline)[\w.-]*[\"']?\s{0,40}[:=]\s{0,9}[\"']?[\d.]+ ?(?:[mu]?s|sec\w*|min\w*|h)?[\"']?,?\s*$"
    r"|\s*(?:export |ENV |-e )?[A-Z][A-Z\d]*_[A-Z\d_]*=\S*\s*$",
)
# Nothing of what a job needs.
NEEDED = r"(?:samples|images|files|items|records|rows|examples|batches|shards|classes|parameters|weights|tensors|tests|\w+\(s\))"
EMPTY = re.compile(
    rf"\b(?:found|loaded|collected|read|got|selected|are) 0 (?:\w+ )?{NEEDED}(?!\w)"
    rf"|^\W*0 (?:\w+ )?{NEEDED} (?:found|loaded|matched|selected|available|read|in)\b|\btotal (?:\w+ )?{NEEDED} ?[:=] ?0\b(?!\.)",
    re.I,
)

TROUBLE = BIT["error"] | BIT["failed"] | BIT["fatal"] | BIT["exception"] | BIT["error_part"]
WRONG = int(bits_of(*NAMES[: NAMES.index("summary")]))
DONE = int(bits_of("passed", "fetch", "lifecycle"))
# A line that says one of these is no name, whatever ends it.
REASON = int(bits_of("error_label", "raised", "exception", "fatal", "timeout", "nonfinite", "hardware"))
ENDS = (
    "exit", "return", "status", "kill", "died", "terminat", "finish", "complete", "fail", "abort", "fault", "bus error", "signal",
    "rc=", "rc:", "rc ", "illegal instruction", "floating point", "non-zero", "nonzero",
)  # fmt: skip
NOTHING = ("0", "no ", "zero", "without", "none", "false", "[]", "null")
TRACES = ("trace", "caused by", "exception", "goroutine", "thread", "panic")
# Matched at the line's start: cheap enough for every line. Searches stand behind a test for a word that they need.
SHAPES = (
    ("raised", RAISED.match), ("frame", FRAME.match), ("caret", CARET.match), ("code", CODE.match), ("diff", DIFF.match),
    ("command", COMMAND.match), ("build", BUILD.match), ("setting", SETTING.match), ("rule", RULE.match), ("header", HEADER.match),
)  # fmt: skip


class _Words(dict[str, int]):
    """word -> signals, found on first sight."""

    def __missing__(self, word: str) -> int:
        if len(self) > 300_000:
            self.clear()
        bits = self[word] = _word(word)
        return bits


def _word(word: str) -> int:
    plain = word.rstrip(".!?-+/").lower() or word
    bits = BIT["error_part"] if ERROR_PART.search(word) else 0
    if RAISES.match(word):
        return bits | BIT["exception"]
    if level := LEVEL.match(word):
        return {"I": BIT["level_low"], "W": BIT["warning"]}.get(level[1], BIT["error"])
    if STATUS.match(word):
        for part in plain.split("_"):
            bits |= EXACT.get(part, 0)
        return bits | BIT["status"] if bits else 0
    if IS_PATH.search(word) and plain not in EXACT:
        return bits  # a name that happens to contain the word: errors.js, test_failure
    bits |= EXACT.get(plain, 0) or EXACT.get(word.lower(), 0)
    for start, bit in STARTS:
        if plain.startswith(start):
            bits |= bit
    return bits


_words = _Words()


def said(text: str) -> int:
    """Signals of the words of a text."""
    compiled = kernel("transforms._signals")
    if compiled is not None and text.isascii():
        return int(compiled.words(text, _words))
    bits = 0
    for word in WORD.findall(text):
        bits |= _words[word]
    return bits


def versioned(text: str) -> bool:
    """Whether three numbers stand with dots between them."""
    compiled = kernel("transforms._signals")
    return bool(compiled.version(text)) if compiled is not None and text.isascii() else VERSION.search(text) is not None


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
    for name, finds in SHAPES:
        if finds(text):
            bits |= BIT[name]
    if ("." in text and (":" in text or "(" in text)) or "line " in text:
        bits |= any(place.search(text) for place in PLACES) and BIT["place"]
    if text.count(".") > 1:
        bits |= versioned(text) and BIT["version"]
    if bits & BIT["error"] and "." in text and MEASURE.search(text):
        bits &= ~(BIT["error"] | BIT["error_part"])
    if bits & (BIT["timeout"] | BIT["status"]) and SETS.match(text):
        bits = bits & ~WRONG | BIT["setting"]
    if bits & DONE and bits & (BIT["refusal"] | BIT["failed"]) and UNDONE.search(text):
        bits &= ~DONE
    if bits & BIT["place"]:
        bits |= FOUND.match(text) is not None and BIT["error_label"]
    if bits & TROUBLE or text[0] in "EF" or "[E" in text or "[F]" in text:
        bits |= ERROR_LABEL.search(text) is not None and BIT["error_label"]
        bits |= LOUD.search(text) is not None and BIT["failed_loud"]
        bits |= EXPECTED.search(text) is not None and BIT["handled"]
    first = text.lstrip()[:1]
    if bits & TROUBLE or ") " in text[:9] or "not ok" in text[:20] or first in "✗✖✘×❌●✕[":
        bits |= FAILED_TEST.search(text) is not None and BIT["failed_test"]
    if (bits & WRONG or first in "[✓✔√") and not bits & (BIT["failed_test"] | BIT["failed_loud"]):
        bits = without_name(text, bits)
    if bits & TROUBLE:
        bits |= VERDICT.search(text) is not None and BIT["verdict"]
    if bits & BIT["nonfinite"]:
        if "nan" not in lower and BOUND.search(text):
            bits &= ~BIT["nonfinite"]
        elif NAN_VALUE.search(text):
            bits |= BIT["nan_value"]
    if holds(lower, TRACES):
        bits |= TRACEBACK.search(text) is not None and BIT["traceback"]
    if text[0] in " \t" and text[1:2] in " \t":
        bits |= BIT["indented"]
    if length <= 12:
        bits |= BIT["short"]
    elif length >= 300:
        bits |= BIT["long"]
    return bits | counted(text, bits)


def without_name(text: str, bits: int) -> int:
    """Signals of a line without what the name of a test says, where it names one that passed, was skipped or begins."""
    if PASSED_TEST.match(text) or (not bits & REASON and PASSED_END.search(text)):
        return bits & ~WRONG | BIT["passed"]
    return bits & ~WRONG if NAMED_TEST.match(text) else bits


def ends(text: str) -> str:
    """Head and tail of a long line: what it says stands there, and patterns cost by length."""
    return text if len(text) <= LOOKED_AT else f"{text[: LOOKED_AT - TAIL]} {text[-TAIL:]}"


NUMBER = re.compile(r"(?<![\w.])-?\d+")
COUNTED = BIT["summary"] | BIT["exit"] | BIT["none"]


def hangs(text: str, bits: int) -> bool:
    """Whether the same line with other numbers may have other signals. bits: those that it has."""
    return any(counted(NUMBER.sub(value, text), bits & ~COUNTED) != bits & COUNTED for value in ("0", "1", "-1"))


def counted(text: str, bits: int) -> int:
    """The signals that change with the value of a number: `exit code 0` is not `exit code 1`."""
    found = 0
    text = ends(text)
    lower = text.lower()
    ended = holds(lower, ENDS)
    if bits & TROUBLE or "offen" in lower or "issues" in lower:
        found |= SUMMARY.search(text) is not None and BIT["summary"]
    if "0 " in text or text[-1] == "0":
        found |= EMPTY.search(text) is not None and BIT["summary"]
    if ended:
        found |= EXIT.search(text) is not None and BIT["exit"]
    if (ended or bits & WRONG) and not found & BIT["summary"] and holds(lower, NOTHING):
        found |= NONE.search(text) is not None and BIT["none"]
    return found

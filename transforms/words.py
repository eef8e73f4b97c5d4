"""The signals, and the words that give them: a word means the same whatever program prints it. Words are remembered."""

from __future__ import annotations

import re

import numpy as np

from tracewinnow.kernels import kernel

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
    "error": "error errors err err! errored erroneous problem problems crit ftl emerg errno",
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
    " zombie thrashing spike spikes spiked absent revoked suspended circular cyclic premature prematurely flaky flaked worse"
    " degenerate",
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

WORD = re.compile(r"[A-Za-z+-][^\s\"'`(),;:=\[\]{}<>|\\*#]*")
RAISES = re.compile(
    r"(?:[\w$.]*[.$])?(?:(?!On[A-Z])[A-Z]\w*(?:Error|Exception|Failure|Fault|Panic|Interrupt|Exceeded)s?|Stop(?:Async)?Iteration)$"
    r"|(?:\w+\.)*(?:exceptions?|errors?|exc)\.(?!(?:New|Is|As|Wrap|Join)\b)[A-Z]\w+$"
)
STATUS = re.compile(r"[A-Z]{3,}(?:_[A-Z]{2,})+$")  # RESOURCE_EXHAUSTED, CUDA_ERROR_LAUNCH_FAILED
LEVEL = re.compile(r"([IWEF])\d{4}$")  # of glog, before the time
IS_PATH = re.compile(r"/|\w\.[A-Za-z]|\w_\w|^-")
ERROR_PART = re.compile(r"error|exception|fail|fault", re.I)


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

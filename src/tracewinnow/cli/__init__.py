"""The command line: results on stdout, progress and logs on stderr; exit code 2 for bad use, 1 for a failure.

Each verb is a module of this folder with a click command named `command`. It is imported when it is called, so that
`tracewinnow run` starts fast and needs nothing but the base installation.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# verb -> (module, what it does in a line, extra that it needs)
VERBS: dict[str, tuple[str, str, str]] = {
    "preprocess": ("preprocess", "Winnow one log down to a token budget.", "winnow"),
    "reference": ("reference", "Make and merge profiles of healthy runs.", "winnow"),
    "run": ("run", "Run any command and send what it prints.", ""),
    "sync": ("sync", "Ship what a spool still holds.", ""),
    "stream": ("stream", "Run the pipeline over Kafka.", "pipeline"),
    "backfill": ("backfill", "Run the pipeline over files.", "pipeline"),
    "rebuild": ("rebuild", "Make everything again from the archive.", "pipeline"),
    "export": ("export", "Write the training export of a day.", "pipeline"),
    "jobs": ("jobs", "List jobs and how they ended.", "serve"),
    "show": ("show", "Answer why a job failed, under a token budget.", "serve"),
    "lines": ("lines", "Fetch raw lines that an answer left out.", "serve"),
    "series": ("series", "Fetch the numbers that a job sent.", "serve"),
    "codec": ("codec", "Encode, decode and inspect numeric containers.", "codec"),
    "train": ("train", "Train a model from labels.", "train"),
    "evaluate": ("evaluate", "Print the figures of a model.", "train"),
    "completion": ("completion", "Print the completion script of a shell.", ""),
}


@contextmanager
def importing() -> Iterator[None]:
    """Ctrl-C while inside ends this process at once, with a word: nothing has begun yet.

    As an exception it would end in a traceback before there is anybody to catch it, or be lost in a callback of an import.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, as in the background, or not ours
        yield
        return
    signal.signal(signal.SIGINT, _interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupted(number: int, frame: Any) -> None:
    os.write(2, b"\nInterrupted.\n")
    os._exit(128 + number)


def main() -> None:
    """Entry point of the console script; does not return."""
    with importing():
        from tracewinnow.cli.verbs import call
    call()

"""From bytes to lines, and from a line as it came to the text that is shown and the text that is judged.

Line numbers are 1-based over lines that end in \\n; \\r\\n counts as one end. A lone \\r does not end a line: it is how a
terminal writes over one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

LONGEST = 4000  # characters of a line that are looked at; of longer ones the head and the tail
HEAD = 3000

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# CSI sequences (colour, cursor), OSC (titles, links) up to their end, two-character escapes, character sets.
ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[()*+][0-9A-Za-z]|[@-Z\\^_=>78]|(?=\n|$))"
)
# What a terminal would have wiped: back to the line's start, then erase it (in either order).
WIPED = re.compile(r"^.*(?:\r\x1b\[[02]?K|\x1b\[2K\r)(?=.)")
# Set before every line by what carries it: CI systems, container runtimes. Never part of the message.
CARRIED = re.compile(
    r"^(?:[^\t\n]{1,100}\t[^\t\n]{1,100}\t)?\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z(?: |$)"
)
# Set by the program's own logging, or by a launcher that tells ranks apart: shown, but not judged.
OWN = re.compile(
    r"^(?:"
    r"[\[(<]?(?:\d{4}[-/.]\d\d[-/.]\d\d|\d\d[-/]\d\d[-/](?:\d{4}|\d\d)|(?:[A-Z][a-z]{2} ){1,2} ?\d{1,2}|\d\d-\d\d)"
    r"[ T:_]?[ ]?\d\d:\d\d:\d\d(?:[.,:]\d{1,9})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?(?: \d{4})?[\])>]?[ \t]*[-|:]?[ \t]*"
    r"|[\[(]?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?[\])]?[ \t]+[-|:]?[ \t]*"
    r"|[\[(]?\d{10}(?:\.\d{1,9})?[\])]?:?[ \t]+"
    r"|\[(?:rank ?|default|RANK ?)?\d{1,5}\]:? ?"
    r"|\[\d{1,5},\d{1,5}\]<std(?:out|err)>: ?"
    r"|\d{1,5}: (?=\S)"
    r"|\((?:[A-Za-z_]\w* )?(?:pid|ip)=[^)\n]{1,60}\) ?"
    r"){1,4}"
)
NOT_WORDS = re.compile(r"[^A-Za-z]+")
RANK = re.compile(r"^\s*(?:\[(?:rank ?|default|RANK ?)(\d{1,5})\]|\[\d{1,5},(\d{1,5})\]<std|(\d{1,5}): \S)")


def decode(data: bytes) -> tuple[str, str]:
    """Text of a log file, and a sentence where it was not plain UTF-8 (see encoding_of). Never raises; bytes that are no UTF-8 come
    through as surrogate escapes, so that they can be had back.
    """
    name, errors, note = encoding_of(data)
    return data.decode(name, errors), note


def encoding_of(head: bytes) -> tuple[str, str, str]:
    """Name of the encoding, how to treat errors, and a sentence where it is not plain UTF-8. head: the first 4 kB or more.

    UTF-16 and UTF-32 are known by their byte order mark; UTF-16 without one by its zero bytes.
    """
    for mark, name in BOMS:
        if head.startswith(mark):
            return (
                (name, "surrogateescape", "")
                if name == "utf-8-sig"
                else (name, "replace", f"decoded from {name.upper()}")
            )
    head = head[:4096]
    if len(head) >= 4:
        for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
            if zeros.count(0) > 0.7 * len(zeros) and head.count(0) < 0.6 * len(head):
                return name, "replace", f"no byte order mark; decoded from {name.upper()} by its zero bytes"
    return "utf-8", "surrogateescape", ""


def split(text: str) -> list[str]:
    """Lines without their ends. A last line end opens no further line; no text, no line."""
    if not text:
        return []
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def visible(lines: Sequence[str]) -> list[str]:
    """What is shown of each line: no escape codes, no time stamp of the carrier, progress bars as they stood last.

    A line longer than LONGEST keeps its head and tail, with a mark that names how many characters lie between.
    """
    if not lines:
        return []
    lines = [line if len(line) <= LONGEST else shorten(line) for line in lines]
    text = "\n".join(lines)
    if text.count("\n") != len(lines) - 1:  # a line end inside a line would shift all numbers behind it
        text = "\n".join(line.replace("\n", " ") for line in lines)
    if "\r\x1b[" in text or "\x1b[2K\r" in text:
        text = "\n".join(WIPED.sub("", line) if "\r" in line else line for line in text.split("\n"))
    if "\x1b" in text:
        text = ESCAPE.sub("", text)
    # By match and not by sub: a search would look for the start of a line at every character.
    shown = [line[found.end() :] if (found := CARRIED.match(line)) else line for line in text.split("\n")]
    if "\r" in text:
        shown = [overwritten(line) if "\r" in line else line for line in shown]
    return shown


def judged(shown: Sequence[str]) -> list[str]:
    """What the rules look at: the visible text without time stamps and rank prefixes of the program's own logging."""
    return [line[found.end() :] if (found := OWN.match(line)) else line for line in shown]


def overwritten(line: str) -> str:
    """A line with carriage returns: of pieces with the same words (a bar that grows) the last, in order."""
    pieces = [piece for piece in line.split("\r") if piece.strip()]
    return " ".join({NOT_WORDS.sub(" ", piece): piece for piece in pieces}.values())


def shorten(line: str, longest: int = LONGEST, head: int = HEAD) -> str:
    """Head and tail of a long line, with a mark that names how many characters lie between."""
    tail = longest - head
    return f"{line[:head]} …[{len(line) - longest} characters]… {line[len(line) - tail :]}"


def rank_of(line: str) -> int:
    """The rank that a launcher wrote before the line, or -1."""
    found = RANK.match(line)
    return int(next(group for group in found.groups() if group)) if found else -1

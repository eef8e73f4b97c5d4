"""From bytes to lines, and from a line as it came to the text that is shown and the text that is judged.

Line numbers are 1-based over lines that end in \\n; \\r\\n counts as one end. A lone \\r does not end a line: it is how a
terminal writes over one.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Sequence

from tracewinnow.kernels import kernel

LONGEST = 4000  # characters of a line that are looked at; of longer ones the head and the tail
HEAD = 3000

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# CSI sequences (colour, cursor), OSC, APC and their like (titles, links, times of a CI system) up to their end, two-character
# escapes, character sets.
ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_X](?:[^\x07\x1b\n]*(?:\x07|\x1b\\))?|[()*+][0-9A-Za-z]|[@-Z\\=>78]|(?=\n|$))"
)
# What a terminal would have wiped: back to the line's start, then erase it (in either order).
WIPED = re.compile(r"^.*(?:\r\x1b\[[02]?K|\x1b\[2K\r)(?=.)")
BACK = re.compile(r"\x08+")
# Set before every line by what carries it: CI systems (stream behind it), container runtimes. Never part of the message.
STAMPED = (
    r"\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
    r"(?:(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) std(?:out|err) [FP](?: |$)|(?:\.\d{1,9})?Z(?: (?:\d\d[EO][ +])?|$))"
)
CARRIED = re.compile(STAMPED)
# The same behind job and step, as CI systems print the log of a run. A level is the program's own.
IN_JOB = re.compile(
    r"(?!(?i:trace|debug|info|warn(?:ing)?|error|fatal|critical)\t)[^\t\n]{1,100}\t[^\t\n]{1,100}\t" + STAMPED
)
# A record of Docker's log files.
RECORD = re.compile(r'\{"log":("(?:[^"\\]|\\.)*"),"stream":"std(?:out|err)"(?:,"attrs":\{[^}]*\})?,"time":"[^"]*"\}$')
# Set by the program's own logging, or by a launcher that tells ranks apart: shown, but not judged. One blank behind it is part of
# it, further ones are the message's.
OWN = re.compile(
    r"^(?:"
    r"(?:<\d{1,3}>1? ?)?"
    r"[\[(<]?(?:\d{4}[-/.]\d\d[-/.]\d\d|\d\d[-/]\d\d[-/](?:\d{4}|\d\d)|(?:[A-Z][a-z]{2} ){1,2} ?\d{1,2}|\d\d-\d\d)"
    r",?[ T:_]?[ ]?\d\d:\d\d:\d\d(?:[.,:]\d{1,9})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?(?: \d{4})?[\])>]?(?:[ \t]*[-|:](?![^ \t]))?[ \t]?"
    r"(?:[\w.-]{1,64} (?:[\w./()@-]{1,64}\[\d{1,8}\]:|kernel:|[\w./-]{1,48} \d{1,8} \S{1,32} (?:-|\[[^\]\n]{1,200}\]))(?: |$))?"
    r"|[\[(]?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?[\])]?(?:[ \t]+[-|:](?![^ \t]))?[ \t]{1,2}"
    r"|[\[(]? {0,6}\d{1,10}\.\d{6}[\])] |[\[(]?\d{10}(?:\.\d{1,9})?[\])]?:?[ \t]"
    r"|\[(?:rank ?|default|RANK ?)\d{1,5}\]:? ?|\[\d{1,5}\](?::? |:?(?=[^\s:]))"
    r"|\[\d{1,5},\d{1,5}\]<std(?:out|err)>: ?"
    r"|\d{1,5}: |#\d{1,4} \d{1,6}\.\d{1,3}(?: |$)"
    r"|\((?:[A-Za-z_]\w* )?(?:pid|ip)=[^)\n]{1,60}\) ?"
    r"|\[pod/[^\]\s]{1,200}\] ?|[A-Za-z][\w./-]{0,100}[-_]\d{1,5} +\|(?: |$)"
    r"){1,4}"
)
NOT_WORDS = re.compile(r"[\W\d_]+")
HALVES = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")
SHORTENED = re.compile(r" …\[(\d{1,18}) characters\]… ")


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
    compiled = kernel("transforms._lines")
    if compiled is None:
        return cleaned(lines)
    shown = list(lines)
    some = compiled.uncommon(shown, LONGEST)  # the others are shown as they came
    for number, line in zip(some, cleaned([shown[number] for number in some], lines), strict=True):
        shown[number] = line
    return shown


def cleaned(lines: Sequence[str], log: Sequence[str] | None = None) -> list[str]:
    """The same, looking for everything in every line. log: all lines, where `lines` are only those that may hold something.

    What a line becomes hangs on the others in one thing: job and step before it are a carrier's only if most lines have them.
    """
    if not lines:
        return []
    shown = [line if len(line) <= LONGEST else shorten(line) for line in lines]
    text = "\n".join(shown)  # one look at all of it tells what none of them has
    if text.count("\n") != len(lines) - 1:  # a line end inside a line would shift all numbers behind it
        shown = [line.replace("\n", " ") for line in shown]
    if any(line.startswith('{"log":"') for line in shown):
        shown = [unwrapped(line) if line.startswith('{"log":"') else line for line in shown]
        text = "\n".join(shown)
    escapes, back, returns = "\x1b" in text, "\x08" in text, "\r" in text
    if back:  # some bars go back by backspaces
        shown = [BACK.sub("\r", line) if "\x08" in line else line for line in shown]
    if escapes:
        if back or returns:
            shown = [WIPED.sub("", line) if "\r" in line else line for line in shown]
        shown = [ESCAPE.sub("", line) if "\x1b" in line else line for line in shown]
    shown = without_carrier(shown, lines if log is None else log, "\t" in text)
    if back or returns:
        shown = [overwritten(line) if "\r" in line else line for line in shown]
    return shown


def without_carrier(shown: list[str], log: Sequence[str], tabs: bool) -> list[str]:
    """The lines without what their carrier set before them. log: all lines of it; tabs: whether a line has one.

    A job that stands before one line alone, where another stands before more, is the text of a message.
    """

    # By match and not by sub: a search would look for the start of a line at every character.
    def carried(line: str) -> int:
        return match.end() if (match := CARRIED.match(line)) else 0

    ends = [match.end() if (match := IN_JOB.match(line)) else 0 for line in shown] if tabs else []
    jobs = Counter([line[: line.index("\t")] for line, end in zip(shown, ends, strict=tabs) if end])
    if not jobs or 2 * jobs.total() <= sum(bool(line.strip()) for line in log):
        return [line[carried(line) :] for line in shown]
    least = min(2, max(jobs.values()))
    return [
        line[end if end and jobs[line[: line.index("\t")]] >= least else carried(line) :]
        for line, end in zip(shown, ends, strict=True)
    ]


def judged(shown: Sequence[str]) -> list[str]:
    """What the rules look at: the visible text without time stamps and rank prefixes of the program's own logging."""
    compiled = kernel("transforms._lines")
    if compiled is not None:
        return list(compiled.without_own(list(shown), OWN.match))
    return [line[found.end() :] if (found := OWN.match(line)) else line for line in shown]


def overwritten(line: str) -> str:
    """A line with carriage returns: of pieces with the same words (a bar that grows) the last, in order."""
    pieces = [piece for piece in line.split("\r") if piece.strip()]
    return " ".join({NOT_WORDS.sub(" ", piece): piece for piece in pieces}.values())


def encodable(text: str) -> str:
    """Without halves of UTF-16 pairs, which no encoding knows; bytes that were no UTF-8 stay, as surrogate escapes."""
    return text if text.isascii() else HALVES.sub("\ufffd", text)


def shorten(line: str, longest: int = LONGEST, head: int = HEAD) -> str:
    """Head and tail of a long line, with a mark that names how many characters lie between."""
    end = len(line) - (longest - head)
    marks = list(SHORTENED.finditer(line))  # of an earlier time: none is cut in two
    head = next((mark.start() for mark in marks if mark.start() < head < mark.end()), head)
    end = next((mark.end() for mark in marks if mark.start() < end < mark.end()), end)
    left_out = end - head + sum(int(m[1]) - len(m[0]) for m in marks if head <= m.start() and m.end() <= end)
    return f"{line[:head]} …[{left_out} characters]… {line[end:]}"


def unwrapped(line: str) -> str:
    """The message of a record of Docker's log files, or the line as it is."""
    found = RECORD.match(line)
    try:
        message = encodable(str(json.loads(found[1]))) if found else line
    except ValueError:
        return line
    return message.removesuffix("\n").replace("\n", " ")

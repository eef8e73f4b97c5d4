"""What logging writes before a message, the time already gone: what stands in brackets, level, name, place.

How a program's logging labels its lines says nothing of the lines of other programs; what the message says, and its shape, do. In
lines, and in templates, whose numbers are `#`. Blocks know fewer labels (roles.py): there a label too many would cut one in two.
"""

from __future__ import annotations

import re

LOUD = r"TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|CRITICAL|SEVERE"  # in capitals
LEVEL = rf"(?:{LOUD}|[Dd]ebug|[Ii]nfo)"
BRACKET = r"\[[\w.:#,/*@=()| \-]{1,80}\]"
PLACE = r"[\w./<>$#*\-]{1,80}(?::[\w<>$#]{1,60})?(?::[\d#]{1,6})?"
# A name that is what happened is no place, nor is one that has a value.
NO_REASON = r"(?![\w.$]*(?:Error|Exception|Failure|Fault|Panic|Interrupt|Exit)\b)"
NO_VALUE = r"(?! *(?:[-+.\d#]|\w+$))"
LABEL = re.compile(
    rf"(?:{BRACKET} ?){{0,3}}(?:"
    rf"[\w.]{{1,60}} - {LEVEL} - "
    rf"|\[ ?{LEVEL} ?\] ?(?! ?--- )(?:{BRACKET} ?){{0,2}}(?:- )?"
    rf"|{LEVEL}(?: +[\d#][\d.:,#]*)* +\[{PLACE}\]:? ?(?:- )?"
    rf"|{LEVEL} *\| {PLACE} [-|] "
    rf"|(?:{LOUD}) +(?:[\d#]+ )?(?:--- )?(?:{BRACKET} ?)?{NO_REASON}{PLACE} ?(?:- |: ){NO_VALUE}"
    rf"|{LEVEL}:{NO_REASON}[\w.\-]{{1,80}}:"
    rf"|{LEVEL}(?::| *-(?= )|(?= )) *"
    rf"|[IWEFD](?:[\d#][\d#:. \-]*)? {PLACE}\] "
    r"|(?:stderr|stdout): )"
)
TEMPLATE_LABEL = re.compile(LABEL.pattern.encode())
BRACKETS = re.compile(rf"(?:{BRACKET} ?){{1,3}}(?<= )(?:- |(?! ?--- ))")


def message(template: bytes) -> bytes:
    """A template without its label, for what it says; whole where nothing else is in it, or where only brackets stand before it."""
    label = TEMPLATE_LABEL.match(template)
    return template[label.end() :] or template if label else template


def shaped(line: str) -> str:
    """A line without its label, brackets alone included, for the shape of what it says."""
    label = LABEL.match(line) or BRACKETS.match(line)
    return line[label.end() :] if label else line

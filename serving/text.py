"""Values as people read them, in terminals and on pages. What comes from outside is made harmless here."""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Collection, Sequence
from datetime import datetime, timezone

SECOND = 1_000_000_000
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def plain(text: str) -> str:
    """One line that a terminal shows as it is: characters that move the cursor, hide or turn text become visible escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or unicodedata.category(char) == "Zs" else char.encode("unicode_escape").decode()
        for char in text
    )


def printable(text: str) -> str:
    """Text of many lines for a terminal: line ends and tabs stay, other control characters become visible."""
    return "\n".join("\t".join(plain(cell) for cell in line.split("\t")) for line in text.split("\n"))


def utc(time_ns: int) -> str:
    """ "2026-03-01 12:00:05", "" for 0."""
    if not time_ns:
        return ""
    return datetime.fromtimestamp(time_ns // SECOND, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def window_name(start_ns: int) -> str:
    """How a window is written: its start in UTC, "2026-03-01T12:00:00Z"; exact where it is not a whole second."""
    if start_ns % SECOND:
        return str(start_ns)
    return datetime.fromtimestamp(start_ns // SECOND, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(ns: int) -> str:
    """ "850 ms", "37 s", "4 min 05 s", "3 h 12 min", "2 d 04 h"."""
    seconds = ns // SECOND
    if seconds < 1:
        return f"{ns // 1_000_000} ms"
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    if seconds < 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
    return f"{seconds // 86400} d {seconds % 86400 // 3600:02} h"


def number(value: int) -> str:
    """With a thin separator: 1,234,567."""
    return f"{value:,}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Columns under a head; the last one is cut at the terminal's width. Cells may have colour. right: aligned so."""
    widths = [max(len(_STYLE.sub("", row[at])) for row in (head, *rows)) for at in range(len(head))]
    room = max(20, shutil.get_terminal_size((200, 24)).columns - sum(widths[:-1]) - 2 * (len(head) - 1))
    lines = []
    for row in (head, *rows):
        cells = []
        for at, cell in enumerate(row[:-1]):
            gap = " " * (widths[at] - len(_STYLE.sub("", cell)))
            cells.append(gap + cell if at in right else cell + gap)
        last = row[-1]
        cells.append(last if len(last) <= room else last[: room - 1] + "…")
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)

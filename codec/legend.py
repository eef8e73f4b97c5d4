"""Shorter names through a legend: parts that many names share become one letter. FORMAT.md, section 12."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

PLAIN = re.compile(r"[\w./@+-]+")  # names that stand without quotes
RESERVED = {"series", "steps", "legend", "constant", "coarsened"}  # what lines of the text begin with
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST = 12  # entries of a legend


def shorten(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """(names as they are printed, letter -> what it stands for). A letter is in no name that it could be mistaken
    in."""
    plain = [name for name in names if PLAIN.fullmatch(name) and name.isascii() and name not in RESERVED]
    free = [letter for letter in LETTERS if not any(letter in name for name in plain)]
    legend: dict[str, str] = {}
    short = dict(zip(plain, plain, strict=True))
    while free and len(legend) < MOST:
        part, saved = best_part(list(short.values()))
        if saved < 12:
            break
        letter = free.pop(0)
        legend[letter] = part
        short = {name: text.replace(part, letter) for name, text in short.items()}
    return [short.get(name, json.dumps(name)) for name in names], legend


def best_part(texts: list[str]) -> tuple[str, int]:
    """The run of whole words that saves most characters if one letter stands for it."""
    counts: Counter[str] = Counter()
    for text in texts:
        words = re.findall(r"[^._/]*[._/]|[^._/]+$", text)
        for i in range(len(words)):
            for k in range(i + 1, min(i + 6, len(words)) + 1):
                counts["".join(words[i:k])] += 1
    saved = {part: (n - 1) * (len(part) - 1) - 3 for part, n in counts.items() if n > 1 and len(part) > 2}
    best = max(sorted(saved), key=lambda part: saved[part], default="")
    return best, saved.get(best, 0)


def restore(text: str, legend: dict[str, str]) -> str:
    """The name that a printed one stands for. Later letters may hold earlier ones."""
    if text.startswith('"'):
        name: str = json.loads(text)
        return name
    for letter in reversed(legend):
        text = text.replace(letter, legend[letter])
    return text

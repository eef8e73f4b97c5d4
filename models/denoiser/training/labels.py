"""The labels that readers gave: by content hash, without the text. Joined to the logs again, and how far two readers agree.

    python -m tracewinnow.models.denoiser.training.labels --data DIR [--recorded PATH ...] [--json]

One JSON object a line in labels/*.jsonl and *.jsonl.xz: `log`, first 16 hex digits of the SHA-256 of the log's bytes;
`lines`, of the segment, from 1, like "3-5,9"; `text`, hash of these lines; `template`, hash of their masked form when they
were read; `label`: a, c, m or n; `before`, what the first reader said where later ones decided otherwise; `second` and, where
these two differ, `third`: what others said who knew the definition of the classes and no custom of the first; `alike`: what one
said who was told all that the first was; `doubt`, where the first hesitated; `apart`: what a reader of a few said who knew the
definition alone, and `apart_or`, what that one hesitated about; `beside`: it was shown with a segment that had been chosen.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tracewinnow.models.denoiser.training.corpus import RECORDED, Log, logs

FOLDER = Path(__file__).parent.parent / "labels"
CLASSES = {"a": "actionable", "c": "context", "m": "metadata", "n": "noise"}


def rows(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """All labels."""
    found: list[dict[str, Any]] = []
    for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.xz")]):
        raw = path.read_bytes()
        found += map(json.loads, (lzma.decompress(raw) if path.suffix == ".xz" else raw).decode().splitlines())
    return found


def ranges(text: str) -> list[int]:
    """Lines from 0 of a text like "3-5,9", which counts from 1."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first) - 1, int(last or first))
    return found


def text_hash(lines: list[str]) -> str:
    """Hash of a segment's lines, 16 hex digits."""
    return hashlib.sha256("\n".join(lines).encode("utf8", "surrogateescape")).hexdigest()[:16]


def join(found: Iterable[Log], labels: list[dict[str, Any]]) -> dict[str, Any]:
    """How many labels meet their log: {"joined", "log missing", "text differs", "missing logs": by source}."""
    by_log = collections.defaultdict(list)
    for row in labels:
        by_log[row["log"]].append(row)
    joined = differs = 0
    for log in found:
        for row in by_log.pop(log.sha256, []):
            lines = [log.lines[line] for line in ranges(row["lines"]) if line < len(log.lines)]
            same = text_hash(lines) == row["text"]
            joined, differs = joined + same, differs + (not same)
    missing = collections.Counter(listed[0]["source"] for listed in by_log.values())
    return {
        "joined": joined,
        "text differs": differs,
        "log missing": sum(map(len, by_log.values())),
        "missing logs": dict(missing),
    }


def kappa(pairs: list[tuple[bool, bool]]) -> float:
    """Cohen's kappa of two yes-or-no readings: agreement beyond chance. Cohen 1960, doi 10.1177/001316446002000104."""
    n = max(1, len(pairs))
    one, other = sum(a for a, _ in pairs) / n, sum(b for _, b in pairs) / n
    chance = one * other + (1 - one) * (1 - other)
    agreed = sum(a == b for a, b in pairs) / n
    return 1.0 if chance == 1 else (agreed - chance) / (1 - chance)


def report(labels: list[dict[str, Any]]) -> dict[str, Any]:
    """How many, from where, and agreement: ready for JSON."""
    twice = [(row.get("before", row["label"]), row["second"]) for row in labels if "second" in row]
    alike = [(row.get("before", row["label"]), row["alike"]) for row in labels if "alike" in row]
    thrice = [(row.get("before", row["label"]), row["second"], row["third"]) for row in labels if "third" in row]
    return {
        "segments": len(labels),
        "templates": len({row["template"] for row in labels}),
        "logs": len({row["log"] for row in labels}),
        "read twice": len(twice),
        "hesitations": sum("doubt" in row for row in labels),
        "agreement": sum(a == b for a, b in twice) / max(1, len(twice)),
        "read by two who were told alike": len(alike),
        "agreement of these": sum(a == b for a, b in alike) / max(1, len(alike)),
        "read a third time": len(thrice),
        "as the first": sum(c == a for a, _, c in thrice),
        "as the second": sum(c == b for _, b, c in thrice),
        "read apart": apart(labels),
        "by source": {
            source: dict(collections.Counter(CLASSES[row["label"]] for row in labels if row["source"] == source))
            for source in dict.fromkeys(row["source"] for row in labels)
        },
        "by class": {
            name: {
                "segments": sum(row["label"] == letter for row in labels),
                "kappa": round(kappa([(a == letter, b == letter) for a, b in twice]), 3),
                "both / either": f"{sum(a == b == letter for a, b in twice)} / {sum(letter in pair for pair in twice)}",
            }
            for letter, name in CLASSES.items()
        },
        "confusions": {
            f"{CLASSES[a]} - {CLASSES[b]}": count
            for (a, b), count in collections.Counter(
                (min(pair), max(pair)) for pair in twice if pair[0] != pair[1]
            ).most_common()
        },
    }


def apart(labels: list[dict[str, Any]]) -> dict[str, float]:
    """How far a reader agrees who knew the definition of the classes alone; empty where there was none."""
    some = [row for row in labels if "apart" in row]
    sure = [row for row in some if "apart_or" not in row]
    if not sure:
        return {}
    return {
        "segments": len(some),
        "agreement": sum(row["apart"] == row["label"] for row in some) / len(some),
        "or second choice": sum(row["label"] in (row["apart"], row.get("apart_or")) for row in some) / len(some),
        "without hesitation": len(sure),
        "agreement of these": sum(row["apart"] == row["label"] for row in sure) / len(sure),
    }


def main() -> None:
    """Print the report, and what could be joined."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--data", type=Path, help="folder of the logs that others wrote; without it only the labels are counted"
    )
    parser.add_argument(
        "--recorded",
        type=Path,
        nargs="*",
        default=RECORDED,
        help="packed logs beside DIR; those of the repository without it",
    )
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found = report(rows())
    if chosen.data is not None:
        found["join"] = join(logs(chosen.data, chosen.recorded), rows())
    print(json.dumps(found, indent=None if chosen.json else 2))


if __name__ == "__main__":
    main()

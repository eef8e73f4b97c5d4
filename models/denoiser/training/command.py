"""What the smaller training commands have in common: their arguments, and where their result goes."""

from __future__ import annotations

import argparse
from pathlib import Path


def asked(doc: str | None) -> argparse.Namespace:
    """data: Path or None; out: Path or None; quick: bool. doc: of the module, whose first line describes the command."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the logs that others wrote")
    parser.add_argument("--out", type=Path, help="file that is written; else stdout")
    parser.add_argument("--quick", action="store_true", help="from some scenes alone")
    return parser.parse_args()


def give(text: str, out: Path | None) -> None:
    """Write the result to the file, or print it where there is none."""
    if out:
        out.write_text(text)
    else:
        print(text, end="")

"""The derived schemas as files, for readers and for Terraform: `python -m tracewinnow.schemas.copies` writes them.

schemas/bigquery/<table>.json     schema, partition and clustering
schemas/arrow/<table>.txt         one column a line
"""

from __future__ import annotations

import json
from pathlib import Path

from tracewinnow.schemas.tables import TABLES, bigquery_table, describe

HERE = Path(__file__).parent


def copies() -> dict[Path, str]:
    """Path, relative to this folder -> text. Needs pyarrow."""
    found = {}
    for table in TABLES:
        found[Path("bigquery") / f"{table}.json"] = json.dumps(bigquery_table(table), indent=2) + "\n"
        found[Path("arrow") / f"{table}.txt"] = describe(table)
    return found


if __name__ == "__main__":
    for path, text in copies().items():
        (HERE / path).parent.mkdir(exist_ok=True)
        (HERE / path).write_text(text, encoding="utf-8")

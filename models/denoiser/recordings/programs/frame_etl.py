"""A data pipeline over files in pandas, pyarrow or polars: read, check, join, write partitions."""

from __future__ import annotations

import argparse
import logging
import os
import resource
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

FORMAT = "%(levelname).1s%(asctime)s %(process)d %(filename)s:%(lineno)d] %(message)s"
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=FORMAT, datefmt="%m%d %H:%M:%S")
log = logging.getLogger("etl")


def make(folder: Path, parts: int, fault: str) -> None:
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for part in range(parts):
        frame = pd.DataFrame(
            {
                "user": random.integers(0, 5000, 2000),
                "amount": random.gamma(2, 20, 2000).round(2),
                "at": [datetime(2026, 3, 1) + timedelta(minutes=int(m)) for m in random.integers(0, 40_000, 2000)],
                "country": random.choice(["de", "fr", "it", None], 2000),
            }
        )
        if fault == "schema" and part == parts * 2 // 3:
            frame["amount"] = frame["amount"].map("{:.2f} EUR".format)
        if fault == "column" and part == parts // 2:
            frame = frame.rename(columns={"user": "user_id"})
        path = folder / f"part-{part:05d}.parquet"
        frame.to_parquet(path)
        frame.to_csv(path.with_suffix(".csv"), index=False)
    if fault == "corrupt":
        bad = folder / f"part-{parts * 3 // 4:05d}.parquet"
        bad.write_bytes(bad.read_bytes()[:-900])
    if fault == "missing":
        (folder / f"part-{parts * 3 // 4:05d}.parquet").unlink()
    if fault in ("encoding", "ragged"):
        with open(folder / f"part-{parts // 2:05d}.csv", "ab") as text:
            text.write(
                b"17,3.5,2026-03-02 10:00:00,\xff\xfe\x00d\n" if fault == "encoding" else b"17,3.5,2026-03-02,de,,9,9\n"
            )


def check(frame: pd.DataFrame, part: int) -> None:
    missing = frame["country"].isna().mean()
    if missing > 0.26:
        log.warning("part %d: %.1f %% of country is null (expected < 26 %%), continuing", part, 100 * missing)


def with_pandas(folder: Path, out: Path, parts: int, fault: str) -> None:
    total = []
    form = ".csv" if fault in ("encoding", "ragged") else ".parquet"
    for part in range(parts):
        path = (folder / f"part-{part:05d}").with_suffix(form)
        frame = pd.read_csv(path) if form == ".csv" else pd.read_parquet(path)
        check(frame, part)
        daily = frame.assign(day=pd.to_datetime(frame["at"]).dt.date).groupby(["day", "user"])["amount"].sum()
        total.append(daily)
        log.info("part %d/%d: %d rows, %d groups, amount %.2f", part + 1, parts, len(frame), len(daily), daily.sum())
        if fault == "memory" and part == parts // 2:
            resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
            np.zeros((60_000, 40_000))
    merged = pd.concat(total).groupby(level=[0, 1]).sum().reset_index()
    log.info("merged: %d rows", len(merged))
    if fault == "assert":
        merged = pd.concat([merged, merged.iloc[:3]])
    duplicated = merged.duplicated(["day", "user"]).sum()
    assert duplicated == 0, f"primary key (day, user) is not unique: {duplicated} duplicated rows"
    if fault == "full":
        merged.to_csv("/dev/full", index=False)
    out.mkdir(exist_ok=True)
    merged.to_parquet(out / "daily.parquet")
    log.info("wrote %s", out / "daily.parquet")


def with_pyarrow(folder: Path, out: Path, parts: int, fault: str) -> None:
    schema = pq.read_schema(folder / "part-00000.parquet")
    print(schema.to_string(show_schema_metadata=False))
    out.mkdir(exist_ok=True)
    with pq.ParquetWriter(out / "all.parquet", schema) as writer:
        for part in range(parts):
            table = pq.read_table(folder / f"part-{part:05d}.parquet")
            if fault == "cast":
                table = table.set_column(1, "amount", pa.array(["12.5", "n/a"] * (len(table) // 2)).cast(pa.float64()))
            writer.write_table(table.select(schema.names).cast(schema))
            log.info("appended %d rows (row group %d, %.1f MB)", len(table), part, table.nbytes / 1e6)


def with_polars(folder: Path, out: Path, parts: int, fault: str) -> None:
    lazy = pl.scan_csv(str(folder / "*.csv"), infer_schema_length=100, truncate_ragged_lines=fault != "ragged")
    print(lazy.explain())
    lazy = lazy.with_columns(pl.col("at").str.to_datetime(), pl.col("amount").cast(pl.Float64))
    query = lazy.group_by(pl.col("at").dt.date(), "user_id" if fault == "name" else "user").agg(pl.col("amount").sum())
    frame = query.collect()
    print(frame.describe())
    if fault == "join":
        frame = frame.join(pl.DataFrame({"user": ["1", "2"], "group": [1, 2]}), on="user")
    out.mkdir(exist_ok=True)
    for (day,), rows in sorted(frame.partition_by("at", as_dict=True).items()):
        path = out / f"day={day}"
        path.mkdir(exist_ok=True)
        rows.write_parquet(path / "data.parquet")
        print(f"{datetime.now().isoformat()} INFO wrote {path} rows={len(rows)} pid={os.getpid()}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=["pandas", "pyarrow", "polars"])
    parser.add_argument("--parts", type=int, default=120)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    log.info(
        "engine=%s pandas=%s pyarrow=%s polars=%s", arguments.engine, pd.__version__, pa.__version__, pl.__version__
    )
    make(Path("raw"), arguments.parts, arguments.fault)
    engine = {"pandas": with_pandas, "pyarrow": with_pyarrow, "polars": with_polars}[arguments.engine]
    engine(Path("raw"), Path("curated"), arguments.parts, arguments.fault)
    log.info("pipeline finished")


if __name__ == "__main__":
    main()

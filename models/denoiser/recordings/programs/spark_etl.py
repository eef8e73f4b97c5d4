"""Word and click counts in pyspark, local mode."""

from __future__ import annotations

import argparse
import os
import signal

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--level", default="INFO")
    parser.add_argument("--retries", type=int, default=1)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fault = arguments.fault
    spark = (
        SparkSession.builder.appName("clicks").master(f"local[2,{arguments.retries}]")
        .config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "6")
        .config("spark.driver.host", "127.0.0.1").config("spark.driver.maxResultSize", "1m" if fault == "result-size" else "1g")
        .getOrCreate()
    )  # fmt: skip
    spark.sparkContext.setLogLevel(arguments.level)
    print(f"Spark {spark.version}, default parallelism {spark.sparkContext.defaultParallelism}")
    clicks = spark.range(arguments.rows).select(
        (F.col("id") % 997).alias("user"),
        (F.rand(3) * 100).alias("price"),
        F.expr("date_add('2026-01-01', int(id % 60))").alias("day"),
    )
    if fault == "path":
        clicks = spark.read.parquet("warehouse/clicks/day=2026-02-30")
    if fault == "column":
        clicks = clicks.select("user", "prize", "day")

    def convert(price: float) -> float:
        if fault == "udf" and price > 99.99:
            raise ValueError(f"price out of range: {price}")
        if fault == "worker-killed" and price > 99.9:
            os.kill(os.getpid(), signal.SIGKILL)
        return price * 1.19

    gross = F.udf(convert, DoubleType())
    daily = (
        clicks.withColumn("gross", gross("price"))
        .groupBy("day")
        .agg(F.count("*").alias("n"), F.sum("gross").alias("gross"))
    )
    daily.orderBy("day").show(10)
    if fault == "oom":
        wide = spark.range(3_000_000).select(F.expr("repeat(string(id), 60)").alias("text"))
        print(len(wide.collect()))
    if fault == "result-size":
        print(len(spark.range(2_000_000).collect()))
    if fault == "cast":
        spark.sql("SET spark.sql.ansi.enabled=true")
        spark.createDataFrame([("12",), ("13,5",)], ["text"]).select(F.col("text").cast("int")).show()
    daily.write.mode("overwrite").partitionBy("day").parquet(
        "/proc/warehouse" if fault == "permission" else "warehouse/daily"
    )
    print("written:", spark.read.parquet("warehouse/daily").count(), "rows")
    spark.stop()


if __name__ == "__main__":
    main()

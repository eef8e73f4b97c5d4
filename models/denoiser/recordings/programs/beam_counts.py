"""Session counts in Apache Beam on the direct runner."""

from __future__ import annotations

import argparse
import json
import logging
import random

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


class Parse(beam.DoFn):
    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.bad = beam.metrics.Metrics.counter("parse", "bad")

    def setup(self):
        logging.info("Parse.setup on this worker")

    def process(self, line: str):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if self.fault == "strict":
                raise
            self.bad.inc()
            logging.warning("dead letter: %s in %r", error, line[:40])
            return
        if self.fault == "key" and row["user"] == 13:
            row.pop("seconds")
        yield row["user"], row["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    parser.add_argument("--level", default="INFO")
    arguments, rest = parser.parse_known_args()
    logging.getLogger().setLevel(arguments.level)
    fault = arguments.fault
    source = random.Random(4)
    with open("events.jsonl", "w") as events:
        for number in range(6000):
            row = json.dumps({"user": source.randrange(40), "seconds": source.randrange(300)})
            events.write((row if number % 700 != 350 else row[:-5]) + "\n")
    path = "events-2026-*.jsonl" if fault == "missing" else "events.jsonl"
    with beam.Pipeline(options=PipelineOptions(rest, save_main_session=False)) as pipeline:
        pairs = pipeline | beam.io.ReadFromText(path) | "Parse" >> beam.ParDo(Parse(fault))
        if fault == "types":
            names = pairs | "Name" >> beam.Map(lambda pair: f"user {pair[0]}").with_output_types(str)
            pairs = names | "Shift" >> beam.Map(lambda user: (user + 1, user)).with_input_types(int)
        if fault == "label":
            pairs = pairs | "Parse" >> beam.Map(lambda pair: pair)
        totals = pairs | "Sum" >> beam.CombinePerKey(sum)
        if fault == "output":
            totals = totals | "Share" >> beam.Map(lambda pair: pair[0] / (pair[1] - pair[1]))
        (
            totals
            | "Log" >> beam.Map(lambda pair: logging.info("total %s", pair) or str(pair))
            | beam.io.WriteToText("totals/part")
        )
    logging.info("pipeline done")


if __name__ == "__main__":
    main()

"""A nightly flow in luigi: extract, clean, train, publish, with a task that fails or is missing its input."""

from __future__ import annotations

import json
import os
import random
import sys
import time

import luigi

FAULT = os.environ.get("FAULT", "none")


class Extract(luigi.Task):
    part = luigi.IntParameter()
    retry_count = 2

    def output(self):
        return luigi.LocalTarget(f"flow/raw-{self.part:02d}.json")

    def run(self):
        flag = f"flow/tried-{self.part}"
        os.makedirs("flow", exist_ok=True)
        if (self.part == 3 and FAULT != "external" and not os.path.exists(flag)) or (
            FAULT == "source" and self.part == 5
        ):
            open(flag, "w").close()
            raise ConnectionResetError(104, "Connection reset by peer", f"warehouse part {self.part}")
        with self.output().open("w") as out:
            json.dump([random.random() for _ in range(500)], out)


class Dump(luigi.ExternalTask):
    def output(self):
        return luigi.LocalTarget("flow/dump.complete")


class Clean(luigi.Task):
    parts = luigi.IntParameter(8)

    def requires(self):
        return [Extract(part) for part in range(self.parts)] + ([Dump()] if FAULT == "external" else [])

    def output(self):
        return luigi.LocalTarget("flow/clean.json")

    def run(self):
        values = []
        for target in self.input():
            with target.open() as text:
                values += json.load(text)
        if FAULT == "quality":
            values += [-1.0] * 900
        bad = sum(value < 0 for value in values) / len(values)
        print(f"expectation column_values_between(0, 1): {100 * bad:.2f} % unexpected")
        if bad > 0.05:
            raise AssertionError(f"data quality check failed: {100 * bad:.1f} % of values are negative (allowed 5 %)")
        with self.output().open("w") as out:
            json.dump(values, out)


class Train(luigi.Task):
    worker_timeout = 5

    def requires(self):
        return Clean()

    def output(self):
        return luigi.LocalTarget("flow/model.json")

    def run(self):
        for epoch in range(30):
            print(f"epoch {epoch}: loss {1 / (1 + epoch):.4f}", flush=True)
            time.sleep(20 if FAULT == "timeout" and epoch == 9 else 0.02)
        with self.output().open("w") as out:
            json.dump({"mean": 0.5}, out)


if __name__ == "__main__":
    settings = luigi.configuration.get_config()
    settings.set("worker", "keep_alive", "false" if FAULT == "external" else "true")
    settings.set("scheduler", "retry_delay", "1")
    settings.set("scheduler", "retry_count", "2")
    result = luigi.build(
        [Train()], local_scheduler=True, workers=2, log_level="INFO", detailed_summary=True,
        no_lock=True,
    )  # fmt: skip
    print(result.summary_text)
    sys.exit(0 if result.status.name.startswith("SUCCESS") else 1)

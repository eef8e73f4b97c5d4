"""Broker to sinks: events a second through the whole pipeline, beside a bare consumer loop in the same run.

    python -m bench.pipeline --bootstrap HOST:PORT [--events 100000,1000000] [--kinds 5000] [--json]

Events are log lines of 1 KB in batches of 200, from 50 jobs, drawn from 5,000 lines; at the end each job says that it stops. By
default every one of the 5,000 is of a kind of its own, which is the worst case: each process that builds traces has to look at all
kinds once. With --kinds 200 they are as those of most jobs: of few kinds, with other numbers. Needs a real broker
(infra/local/kafka): the embedded one holds 5 MiB a partition. The pipeline runs as processes of its own, as a user would run it;
peak_mb is the largest one's. cpu_seconds: of all of them, their start included; broker_seconds: of the broker, where its process is
given by --broker-pid.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tracewinnow.schemas.telemetry_pb2 import ACCELERATOR_GPU, TelemetryBatch

JOBS, BATCH, LINES, LINE_BYTES, PARTITIONS = 50, 200, 5000, 1000, 8
WINDOW_NS = 60 * 10**9  # as `tracewinnow stream` has it by default
WORDS = [
    "step",
    "loss",
    "grad",
    "norm",
    "lr",
    "throughput",
    "tokens",
    "allreduce",
    "bucket",
    "rank",
    "epoch",
    "shard",
    "loader",
    "cache",
    "prefetch",
    "cuda",
    "stream",
    "wait",
]


def line(rng: random.Random, number: int, kind: int) -> bytes:
    """A log line of about 1 KB: six words that hang on the kind, hardly two of which are alike; in one of ten a word of its own."""
    of_kind = random.Random(kind)
    words = of_kind.choices(WORDS, k=6)
    if kind % 10 == 0:
        words = ["".join(of_kind.choices("abcdefghijklmnop", k=6))]
    clock = f"10:{number // 60 % 60:02d}:{number % 60:02d},{number % 1000:03d}"
    head = f"2026-01-05 {clock} INFO trainer.{words[0]}: {' '.join(words)} step={number} "
    body = " ".join(f"{name}={rng.random():.6f}" for name in WORDS * 4)
    return (head + body)[:LINE_BYTES].encode()


def produce(bootstrap: str, topic: str, events: int, kinds: int = LINES) -> None:
    """Fill a new topic; blocks until the broker has everything."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.kbytes": 1 << 18,
        }
    )
    rng = random.Random(3)
    pool = [line(rng, n, n % kinds) for n in range(LINES)]
    processes = [uuid.UUID(int=rng.getrandbits(128)).hex for _ in range(JOBS)]
    begin = time.time_ns() - 3600 * 10**9
    begin -= begin % WINDOW_NS  # so that a run of any size has windows of the same kind
    last = -(-events // BATCH // JOBS)
    for number in range(events // BATCH + JOBS):
        job, sequence = number % JOBS, number // JOBS
        created = begin + sequence * 2 * 10**9
        batch = TelemetryBatch(
            job_id=f"bench-{job}",
            process_uuid=processes[job],
            sequence=sequence,
            created_ns=created,
            accelerator=ACCELERATOR_GPU,
            rank=0,
        )
        if sequence == last:
            batch.events.add(time_ns=created).stop.exit_code = 0
        else:
            for place in range(BATCH):
                event = batch.events.add(time_ns=created + place * 10**7)
                event.log.text = pool[rng.randrange(len(pool))]
                event.log.level = 20
        while True:
            try:
                producer.produce(topic, key=batch.job_id, value=batch.SerializeToString(), timestamp=created // 10**6)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush(120)


def bare_loop(bootstrap: str, topic: str, events: int) -> float:
    """Seconds to consume and parse everything, and do nothing with it."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    seen, started = 0, time.perf_counter()
    while seen < events:
        for message in consumer.consume(100, 1.0):
            seen += len(TelemetryBatch.FromString(message.value()).events)
    consumer.close()
    return time.perf_counter() - started


def pipeline(bootstrap: str, topic: str) -> dict[str, float]:
    """Run `tracewinnow stream` over the topic until it is idle.

    seconds: from the begin of its first run to its last result, without the start of the process and the wait for idleness.
    """
    with tempfile.TemporaryDirectory() as warehouse:
        command = [sys.executable, "-m", "tracewinnow", "stream", "--json", "--bootstrap", bootstrap, "--topics", topic]
        command += ["--warehouse", warehouse, "--until-idle", "1s"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        events, traces, first, last = 0, 0, 0.0, 0.0
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            for row in running.stdout:
                did, last = json.loads(row), time.perf_counter()
                first = first or last - did["seconds"]
                events += did.get("events", 0)
                traces += did.get("traces", 0)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert running.returncode == 0
    return {
        "seconds": last - first,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": after.ru_maxrss / 1024,
        "events": events,
        "traces": traces,
    }


def cpu_of(pid: int) -> float:
    """Processor seconds that a process has taken; 0 for none."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--events", default="100000,1000000", help=f"multiples of {BATCH * JOBS}")
    parser.add_argument("--kinds", type=int, default=LINES, help=f"1 to {LINES}")
    parser.add_argument("--broker-pid", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = []
    for events in (int(n) for n in options.events.split(",")):
        topic = f"bench-{uuid.uuid4().hex[:8]}"
        produce(options.bootstrap, topic, events, options.kinds)
        bare = bare_loop(options.bootstrap, topic, events + JOBS)
        broker = cpu_of(options.broker_pid)
        run = pipeline(options.bootstrap, topic)
        run["broker_seconds"] = cpu_of(options.broker_pid) - broker
        assert run["events"] == events + JOBS, f"{events + JOBS} events were sent, {run['events']} arrived"
        found.append(
            {
                "events": events,
                "kinds": options.kinds,
                "events_per_second": round(events / run["seconds"]),
                "bare_events_per_second": round(events / bare),
                "ratio": round(bare / run["seconds"], 3),
                **{key: round(value, 2) for key, value in run.items() if key != "events"},
            }
        )
        AdminClient({"bootstrap.servers": options.bootstrap}).delete_topics([topic])
    if options.json:
        print(json.dumps({"events_per_second": found[-1]["events_per_second"], "runs": found}))
    else:
        for row in found:
            print("  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()

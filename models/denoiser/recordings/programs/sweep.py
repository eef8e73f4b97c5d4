"""A sweep over seeds in a pool of processes, with a queue of results and a watchdog."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import queue
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

import numpy as np


def trial(seed: int, fault: str) -> tuple[int, float]:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(processName)s %(levelname)s %(message)s", stream=sys.stdout
    )
    random = np.random.default_rng(seed)
    weights = np.zeros(8)
    for epoch in range(12):
        inputs = random.normal(size=(256, 8))
        weights += 0.05 * inputs.T @ (inputs.sum(1) - inputs @ weights) / 256
        logging.info("seed=%d epoch=%d err=%.5f", seed, epoch, float(np.abs(1 - weights).mean()))
        time.sleep(0.01)
        if seed == 11 and epoch == 7:
            if fault == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "memory":
                np.ones((1 << 20, 1 << 20))
    if fault == "unpicklable" and seed == 11:
        raise type("SolverError", (Exception,), {})(lambda: seed)
    return seed, float(np.abs(1 - weights).mean())


def pool(fault: str, seeds: int) -> None:
    with ProcessPoolExecutor(3) as executor:
        waiting = {executor.submit(trial, seed, fault): seed for seed in range(seeds)}
        for future in as_completed(waiting):
            try:
                print("result", future.result(), flush=True)
            except BrokenProcessPool:
                print(f"seed {waiting[future]}: the pool is broken", file=sys.stderr, flush=True)
                raise


def produce(results, fault: str) -> None:
    for number in range(80):
        if fault == "producer" and number == 50:
            raise ValueError("shard 50: magic number 0x00000000 instead of 0x4c444248")
        if fault == "stuck" and number == 50:
            time.sleep(100)
        results.put(np.full(64, number, np.float32))
        time.sleep(0.01)


def feed(fault: str) -> None:
    results = multiprocessing.Queue(8)
    producer = multiprocessing.Process(target=produce, args=(results, fault), name="producer", daemon=True)
    producer.start()
    print(f"producer pid {producer.pid}")
    for number in range(80):
        for attempt in range(1, 4):
            try:
                values = results.get(timeout=2)
                break
            except queue.Empty:
                print(
                    f"WATCHDOG: no batch for {2 * attempt} s (attempt {attempt}/3), producer alive: {producer.is_alive()}",
                    flush=True,
                )
        else:
            raise RuntimeError(f"input pipeline stalled at batch {number}: no data within 6 s")
        print(f"batch {number} mean {values.mean():.1f} qsize {results.qsize()}", flush=True)
    producer.join()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["pool", "feed"])
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.what == "pool":
        pool(arguments.fault, arguments.seeds)
    else:
        feed(arguments.fault)


if __name__ == "__main__":
    main()

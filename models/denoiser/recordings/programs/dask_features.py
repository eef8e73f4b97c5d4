"""Features of many blocks with dask.distributed on a local cluster."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import time

import dask
import numpy as np
from dask.distributed import Client, LocalCluster, as_completed, wait


def features(block: int, fault: str) -> float:
    random = np.random.default_rng(block)
    values = random.normal(size=(400, 60))
    time.sleep(0.02)
    if fault == "killed" and block == 37:
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "singular" and block == 37:
        values[:, 1] = values[:, 0]
        np.linalg.inv(np.ones((3, 3)))
    if fault == "memory" and block == 37:
        keep = []
        for _ in range(60):
            keep.append(np.ones(4_000_000))
            time.sleep(0.05)
    if fault == "slow" and block == 37:
        time.sleep(60)
    return float(np.linalg.svd(values, compute_uv=False)[0])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=150)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.getLogger("distributed.worker").setLevel(logging.INFO)
    dask.config.set({"distributed.scheduler.allowed-failures": 1, "distributed.comm.timeouts.connect": "4s"})
    if arguments.fault == "connect":
        Client("tcp://127.0.0.1:39871", timeout="4s")
    limit = "500MB" if arguments.fault == "memory" else "2GB"
    with (
        LocalCluster(2, threads_per_worker=1, memory_limit=limit, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        print(client)
        futures = client.map(features, range(arguments.blocks), fault=arguments.fault, retries=1)
        if arguments.fault == "slow":
            wait(futures, timeout=15)
        for count, future in enumerate(as_completed(futures), 1):
            value = future.result()
            print(
                f"{time.strftime('%H:%M:%S')} block done {count}/{len(futures)} key={future.key[-12:]} spectral_norm={value:.3f}"
            )
    print("all features written")


if __name__ == "__main__":
    main()

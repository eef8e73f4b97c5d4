"""Data-parallel least squares with mpi4py under mpiexec."""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import time

import numpy as np
from mpi4py import MPI


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    world = MPI.COMM_WORLD
    rank, size = world.Get_rank(), world.Get_size()
    print(
        f"rank {rank}/{size} on {MPI.Get_processor_name()} pid {os.getpid()}: {MPI.Get_library_version().splitlines()[0]}",
        flush=True,
    )
    random = np.random.default_rng(rank)
    weights, wanted = np.zeros(32), np.random.default_rng(99).normal(size=32)
    begun = time.time()
    for step in range(arguments.steps):
        inputs = random.normal(size=(64, 32))
        error = inputs @ weights - inputs @ wanted
        gradient = inputs.T @ error / 64
        last = rank == size - 1 and step == 70
        if arguments.fault == "segv" and last:
            ctypes.string_at(0)
        if arguments.fault == "kill" and last:
            os.kill(os.getpid(), signal.SIGKILL)
        if arguments.fault == "exception" and last:
            raise ZeroDivisionError("empty batch on the last rank")
        if arguments.fault == "abort" and last:
            print(
                f"rank {rank}: gradient norm {np.linalg.norm(gradient):.3e} exceeds the limit 1.0e-03, calling MPI_Abort(7)",
                flush=True,
            )
            world.Abort(7)
        if arguments.fault == "hang" and last:
            time.sleep(100)
        if arguments.fault == "truncate" and step == 70:
            if rank == 0:
                world.Recv(np.empty(8), source=1)
            elif rank == 1:
                world.Send(np.empty(32), dest=0)
        total = np.empty_like(gradient)
        world.Allreduce(gradient, total)
        weights -= 0.1 * total / size
        if step % 4 == 0:
            norm = np.linalg.norm(total)
            print(
                f"[{time.time() - begun:7.3f}s] rank {rank} step {step} mse {np.mean(error**2):.6f} |g| {norm:.4f}",
                flush=True,
            )
        if not np.isfinite(weights).all():
            world.Abort(9)
    if rank == 0:
        print("converged:", bool(np.allclose(weights, wanted, atol=0.2)), flush=True)


if __name__ == "__main__":
    main()

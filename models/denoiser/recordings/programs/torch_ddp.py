"""Data-parallel training under torchrun with gloo; a fault can be put into one rank."""

from __future__ import annotations

import argparse
import ctypes
import datetime
import os
import signal
import sys
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def say(rank: int, text: str) -> None:
    print(f"[{datetime.datetime.now():%H:%M:%S.%f}] [rank {rank}] {text}", flush=True)


def inject(fault: str, rank: int, step: int) -> None:
    if rank != int(os.environ.get("WORLD_SIZE", 1)) - 1 or step != 60:
        return
    if fault == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "sigsegv":
        ctypes.string_at(0)
    if fault == "exception":
        raise IndexError("shard 17 has 4096 samples, asked for sample 4096")
    if fault == "assert":
        assert torch.cuda.is_available(), "this kernel needs a GPU, but torch.cuda.is_available() is False"
    if fault == "hang":
        time.sleep(40)
    if fault == "exit":
        sys.exit(13)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    parser.add_argument("--elastic", action="store_true", help="fail in the first attempt only")
    arguments = parser.parse_args()
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    attempt = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
    fault = "none" if arguments.elastic and attempt else arguments.fault
    torch.set_num_threads(1)
    say(rank, f"host {os.uname().nodename} world_size {world} local_rank {os.environ['LOCAL_RANK']} attempt {attempt}")
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=arguments.timeout))
    torch.manual_seed(0)
    width = 96 if fault == "shape-mismatch" and rank == 1 else 64
    model = nn.Sequential(nn.Linear(32, width), nn.GELU(), nn.Linear(width, 64), nn.GELU(), nn.Linear(64, 8))
    start = 0
    if os.path.exists("ddp_last.pt"):
        state = torch.load("ddp_last.pt", weights_only=True)
        model.load_state_dict(state["model"])
        start = state["step"]
        say(rank, f"resumed from ddp_last.pt at step {start}")
    parallel = DistributedDataParallel(model)
    if rank == 0:
        print(parallel)
    optimizer = torch.optim.Adam(parallel.parameters(), 1e-3)
    target = torch.randn(32, 8, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(100 + rank)
    for step in range(start, arguments.steps):
        begun = time.perf_counter()
        inputs = torch.randn(64, 32)
        loss = nn.functional.mse_loss(parallel(inputs), inputs @ target)
        if fault == "nan" and step >= 75 and rank == 1:
            loss = loss * float("nan")
        optimizer.zero_grad()
        loss.backward()
        inject(fault, rank, step)
        norm = nn.utils.clip_grad_norm_(parallel.parameters(), 1.0, error_if_nonfinite=fault == "nan")
        optimizer.step()
        if step % 5 == 0:
            say(
                rank,
                f"step {step} loss {loss.item():.5f} grad_norm {norm:.3f} {1000 * (time.perf_counter() - begun):.1f} ms",
            )
        if step % 50 == 49:
            if fault == "barrier" and rank == world - 1:
                time.sleep(15)
            dist.monitored_barrier(timeout=datetime.timedelta(seconds=min(arguments.timeout, 8)))
            if rank == 0:
                torch.save({"model": model.state_dict(), "step": step + 1}, "ddp_last.pt")
                say(rank, f"checkpoint written: ddp_last.pt (step {step + 1})")
            dist.barrier()
    total = loss.detach().clone()
    dist.all_reduce(total)
    if rank == 0:
        say(rank, f"finished: mean loss {total.item() / world:.5f}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

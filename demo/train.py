"""One rank of the training job: a byte-level model, data parallel, with a loader, evaluation and checkpoints.

Started by `demo.launch`, which sets the environment. FAULT chooses what goes wrong.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import resource
import signal
import socket
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from demo import watchdog
from demo.data import Bytes, Cache, Loader, prune
from demo.model import ByteModel, Floats, Momentum
from demo.ring import Ring
from tracewinnow import logger

log = logging.getLogger("trainer")
CONFIG: dict[str, Any] = {
    "model": {"kind": "byte-mlp", "context": 16, "width": 24, "hidden": 192, "dtype": "float32"},
    "optimizer": {"name": "momentum", "beta": 0.9, "gradient_clip": None},
    "schedule": [{"from_step": 0, "rate": 0.1}, {"from_step": 290, "rate": 0.05}],
    "data": {
        "folder": "data",
        "shards": 12,
        "batch": 128,
        "batches_per_shard": 50,
        "cache_shards": 12,
        "quota_mib": 8.0,
    },
    "train": {
        "epochs": 3,
        "seed": 3,
        "steps_per_second": 10,
        "eval_every": 50,
        "checkpoint_every": 60,
        "janitor_every": 240,
    },
    "collective": {"timeout_s": 6.0, "watchdog_s": 4.0},
}


def configure(fault: str, rank: int) -> dict[str, Any]:
    """The configuration of this rank, with the mistake that the fault stands for."""
    config: dict[str, Any] = json.loads(json.dumps(CONFIG))
    config["train"]["steps_per_second"] = int(os.environ.get("STEPS_PER_SECOND", "10"))
    if fault == "nan":
        config["schedule"][1]["rate"] = 50.0  # meant: 0.05
    elif fault == "missing-file":
        config["data"]["quota_mib"] = 5.6  # the shards need 6.0
    elif fault == "hang" and rank == 3:
        config["data"]["cache_shards"] = 4  # the cache has never had to evict before
    return config


class Trainer:
    """The loop and what it needs. Every method runs on every rank unless it says otherwise."""

    def __init__(self, run: logger.Run, rank: int, world: int, ring: Ring, fault: str) -> None:
        self.run, self.rank, self.world, self.ring, self.fault = run, rank, world, ring, fault
        self.config = configure(fault, rank)
        self.model = ByteModel(self.config["train"]["seed"])
        self.optimizer = Momentum(self.model)
        replay = fault == "oom" and rank == 2
        self.cache = Cache(self.config["data"]["cache_shards"], replay)
        if replay:
            log.info("REPLAY_BUFFER=unlimited is set in the environment: every batch is kept for replay")
        self.folder = Path(self.config["data"]["folder"])
        self.shards = sorted(self.folder.glob("*.npy"))
        self.heldout = np.load(self.shards[0])[: 1 << 16]
        self.step = 0

    def train(self) -> None:
        for epoch in range(self.config["train"]["epochs"]):
            order = np.random.default_rng([self.config["train"]["seed"], epoch]).permutation(len(self.shards))
            mine = [self.shards[index] for index in order[self.rank :: self.world]]
            log.info("epoch %d: %s", epoch, " ".join(path.name for path in mine))
            data = self.config["data"]
            loader = Loader(
                self.cache, mine, data["batch"], data["batches_per_shard"], seed=epoch * self.world + self.rank
            )
            total = len(mine) * data["batches_per_shard"]
            watchdog.phase("waiting for the first batch")
            for number, batch in enumerate(loader):
                self.one_step(epoch, batch)
                bar = "#" * (30 * (number + 1) // total)
                end = "\n" if number + 1 == total else "\r"
                sys.stdout.write(f"rank {self.rank} epoch {epoch} |{bar:<30}| {number + 1}/{total}{end}")
                sys.stdout.flush()

    def one_step(self, epoch: int, batch: Bytes) -> None:
        began = time.perf_counter()
        self.step += 1
        rate = self.rate()
        if self.fault == "killed-rank" and self.rank == 1 and self.step == 284:
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when the host has no memory left
        watchdog.phase(f"step {self.step}: forward and backward")
        with self.run.span("forward_backward"):
            loss, gradients = self.model.loss(batch)
        watchdog.phase(f"step {self.step}: allreduce seq {self.ring.sequence + 1}")
        with self.run.span("allreduce"):
            mean = self.model.unflatten(self.ring.mean(self.model.flatten(gradients)))
        watchdog.phase(f"step {self.step}: optimizer")
        self.optimizer.step(mean, rate)
        self.report(epoch, loss, rate, mean, time.perf_counter() - began)
        train = self.config["train"]
        if self.step % train["eval_every"] == 0:
            self.evaluate()
        if self.step % train["checkpoint_every"] == 0:
            self.checkpoint()
        if self.step % train["janitor_every"] == 0 and self.rank == 0:
            prune(self.folder, int(self.config["data"]["quota_mib"] * 2**20))
        watchdog.phase(f"step {self.step}: waiting for the next batch")
        time.sleep(max(0.0, 1 / train["steps_per_second"] - (time.perf_counter() - began)))

    def rate(self) -> float:
        current = [stage for stage in self.config["schedule"] if stage["from_step"] <= self.step][-1]
        if current["from_step"] == self.step:
            log.info("schedule: learning rate is %g from step %d on", current["rate"], self.step)
        return float(current["rate"])

    def report(self, epoch: int, loss: float, rate: float, gradients: dict[str, Floats], seconds: float) -> None:
        norms = {name: float(np.linalg.norm(tensor)) for name, tensor in gradients.items()}
        norm = float(np.sqrt(sum(value**2 for value in norms.values())))
        per_second = 128 / seconds
        log.info(
            "step %d epoch %d loss %.4f lr %g grad_norm %.4f %.1f ms %.0f windows/s",
            self.step, epoch, loss, rate, norm, seconds * 1e3, per_second,
        )  # fmt: skip
        logging.getLogger("optim").debug(
            "largest update %s, velocity norm %.3f", max(norms, key=lambda name: norms[name]),
            float(np.linalg.norm(self.optimizer.velocity["head.weight"])),
        )  # fmt: skip
        usage = resource.getrusage(resource.RUSAGE_SELF)
        logging.getLogger("host").debug(
            "rss peak %.1f MiB, user %.2f s, system %.2f s, switches %d",
            usage.ru_maxrss / 1024, usage.ru_utime, usage.ru_stime, usage.ru_nvcsw,
        )  # fmt: skip
        self.run.metrics(self.step, {"loss": loss, "lr": rate, "grad_norm": norm, "windows_per_s": per_second})
        if self.step % 5 == 0:
            self.run.layers(self.step, gradients, statistic="grad_norm")
            self.run.memory()

    def evaluate(self) -> None:
        """Loss on a held-out piece; rank 0 prints a table."""
        starts = np.arange(0, 256 * 17, 17)
        loss, _ = self.model.loss(self.heldout[starts[:, None] + np.arange(17)])
        perplexity = np.exp(min(loss, 60.0))
        log.info("eval step %d heldout loss %.4f perplexity %.2f", self.step, loss, perplexity)
        if self.rank == 0:
            rule = "+--------+----------+------------+"
            row = f"| {self.step:<6} | {loss:<8.4f} | {perplexity:<10.2f} |"
            print(rule, "| step   | loss     | perplexity |", rule, row, rule, sep="\n")
        send_usage_statistics()

    def checkpoint(self) -> None:
        """Every rank checks its weights, rank 0 writes them. Raises FloatingPointError where one is not finite."""
        bad = {name: int((~np.isfinite(tensor)).sum()) for name, tensor in self.model.tensors.items()}
        bad = {name: count for name, count in bad.items() if count}
        if bad:
            first, count = next(iter(bad.items()))
            raise FloatingPointError(
                f"checkpoint at step {self.step} refused: {len(bad)} of {len(self.model.tensors)} tensors hold values "
                f"that are not finite, first {first} with {count} of {self.model.tensors[first].size}"
            )
        if self.rank == 0:
            path = Path("checkpoints") / f"step-{self.step:06}.npz"
            path.parent.mkdir(exist_ok=True)
            np.savez(path, **self.model.tensors)  # type: ignore[arg-type]
            log.info("checkpoint %s written, %.1f KiB", path, path.stat().st_size / 1024)


def send_usage_statistics() -> None:
    """To a collector that is not there: the harmless traceback that every rank of every job seems to have."""
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=1).close()
    except OSError:
        logging.getLogger("usage").warning("could not send usage statistics, ignoring", exc_info=True)


def greet(rank: int, world: int, config: dict[str, Any], tensors: dict[str, Floats]) -> None:
    """What every job prints before it works."""
    log.info(
        "rank %d of %d on %s, pid %d, Python %s, numpy %s",
        rank,
        world,
        platform.node(),
        os.getpid(),
        platform.python_version(),
        np.__version__,
    )
    if rank == 0:
        log.info("configuration:\n%s", json.dumps(config, indent=2))
        for name, tensor in tensors.items():
            log.info("parameter %-16s %-12s %8d", name, tensor.shape, tensor.size)
        log.info("%d parameters", sum(tensor.size for tensor in tensors.values()))
    try:
        import fused_byte_kernels  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        log.warning("fused kernels are not available, falling back to numpy:\n%s", traceback.format_exc().rstrip())
    warnings.warn(
        "`momentum(nesterov=None)` is deprecated and will become an error in 3.0; pass False",
        DeprecationWarning,
        stacklevel=1,
    )
    warnings.warn("no NUMA binding was requested, the loader may read across sockets", UserWarning, stacklevel=1)
    send_usage_statistics()


def limit_memory(room_bytes: int) -> None:
    """Let this process grow by `room_bytes` of address space and no further."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + room_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    log.info("memory limit of this rank: %.0f MiB of address space", limit / 2**20)


def main() -> None:
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    logging.basicConfig(
        stream=sys.stderr, level=logging.DEBUG, format=f"%(asctime)s [rank{rank}] %(levelname)s %(name)s: %(message)s"
    )
    warnings.simplefilter("default")
    run = logger.start(
        job=os.environ["JOB"], accelerator="gpu", model="byte-mlp", user=os.environ.get("USER", "demo"),
        bootstrap=os.environ["BOOTSTRAP"], spool=os.environ["SPOOL"], rank=rank, world_size=world,
    )  # fmt: skip
    try:
        ports = [int(port) for port in os.environ["RING_PORTS"].split(",")]
        settings = CONFIG["collective"]
        ring = Ring(rank, int(os.environ["RING_FD"]), ports, settings["timeout_s"])
        watchdog.start(rank, settings["watchdog_s"])
        fault = os.environ.get("FAULT", "")
        trainer = Trainer(run, rank, world, ring, fault)
        greet(rank, world, trainer.config, trainer.model.tensors)
        limit_memory(560 << 20)
        trainer.train()
        log.info("training finished after %d steps", trainer.step)
        ring.close()
    except Exception as wrong:
        # The launcher finds the first failure of the job in these files.
        failure = {"time": time.time(), "message": f"{type(wrong).__name__}: {wrong}"}
        Path(os.environ["ERROR_FILE"]).write_text(json.dumps(failure))
        raise
    run.finish(0)


if __name__ == "__main__":
    main()

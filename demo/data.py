"""Shards of bytes on disk, and the loader that reads them ahead of the training loop."""

from __future__ import annotations

import logging
import queue
import sysconfig
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from demo.model import CONTEXT

log = logging.getLogger("loader")
Bytes = npt.NDArray[np.uint8]
SHARD_BYTES = 512 << 10
RETRIES = 3


def write_shards(folder: Path, count: int) -> list[Path]:
    """Shards cut from the source text of Python's own standard library: real text, and nothing to download."""
    folder.mkdir(parents=True, exist_ok=True)
    text = bytearray()
    for source in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text += source.read_bytes()
        if len(text) >= count * SHARD_BYTES:
            break
    whole = np.resize(np.frombuffer(bytes(text), np.uint8), count * SHARD_BYTES)
    paths = []
    for number, shard in enumerate(whole.reshape(count, SHARD_BYTES)):
        paths.append(folder / f"shard-{number:05}.npy")
        np.save(paths[-1], shard)
    return paths


class Cache:
    """The shards that were read last, and the batches to be drawn again (`replay`). Thread-safe.

    shards: how many are kept. replay: keep every batch for replay, without limit.
    """

    def __init__(self, shards: int, replay: bool) -> None:
        self.limit = shards
        self.lock = threading.Lock()
        self.held: OrderedDict[str, Bytes] = OrderedDict()
        self.replay: npt.NDArray[np.float16] | None = None
        self.fresh: list[npt.NDArray[np.float16]] | None = [] if replay else None

    def get(self, path: Path) -> Bytes | None:
        with self.lock:
            return self.held.get(path.name)

    def add(self, path: Path, shard: Bytes) -> None:
        with self.lock:
            self.held[path.name] = shard
            if len(self.held) > self.limit:
                self.evict()

    def evict(self) -> None:
        with self.lock:
            name, _ = self.held.popitem(last=False)
            log.debug("cache evicted %s, %d shards held", name, len(self.held))

    def remember(self, batch: Bytes) -> None:
        """Keep a batch in the form that the replay needs: one-hot, float16[batch, CONTEXT, 256]."""
        if self.fresh is not None:
            self.fresh.append(np.eye(256, dtype=np.float16)[batch[:, :CONTEXT]])

    def consolidate(self) -> None:
        """One array of everything that is kept for replay."""
        if self.fresh:
            old = [] if self.replay is None else [self.replay]
            self.replay = np.concatenate([*old, *self.fresh])
            self.fresh = []
            log.info("replay buffer holds %d windows, %.0f MiB", len(self.replay), self.replay.nbytes / 2**20)


class Loader:
    """Batches of one epoch, read ahead by a thread. An error of the thread is raised where the batch is asked for."""

    def __init__(self, cache: Cache, shards: list[Path], batch: int, batches_per_shard: int, seed: int) -> None:
        self.cache, self.shards, self.batch, self.per_shard = cache, shards, batch, batches_per_shard
        self.rng = np.random.default_rng(seed)
        self.ready: queue.Queue[Bytes | Exception | None] = queue.Queue(maxsize=4)
        threading.Thread(target=self._prefetch, name="prefetch", daemon=True).start()

    def __iter__(self) -> Iterator[Bytes]:
        """uint8[batch, CONTEXT + 1] each."""
        while (item := self.ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def _prefetch(self) -> None:
        try:
            for path in self.shards:
                shard = self._read(path)
                for number in range(self.per_shard):
                    began = time.perf_counter()
                    starts = self.rng.integers(0, len(shard) - CONTEXT - 1, self.batch)
                    batch = shard[starts[:, None] + np.arange(CONTEXT + 1)]
                    self.cache.remember(batch)
                    self.ready.put(batch)
                    spent = (time.perf_counter() - began) * 1e3
                    log.debug(
                        "%s batch %d/%d ready in %.2f ms, queue %d",
                        path.name,
                        number + 1,
                        self.per_shard,
                        spent,
                        self.ready.qsize(),
                    )
                self.cache.consolidate()
            self.ready.put(None)
        except Exception as wrong:  # noqa: BLE001 - handed to the training loop, which raises it
            self.ready.put(wrong)

    def _read(self, path: Path) -> Bytes:
        if (held := self.cache.get(path)) is not None:
            return held
        for attempt in range(1, RETRIES + 1):
            try:
                shard: Bytes = np.load(path)
                break
            except OSError as wrong:
                if attempt == RETRIES:
                    raise
                log.warning("could not read %s (attempt %d of %d): %s; trying again", path, attempt, RETRIES, wrong)
                time.sleep(0.4 * attempt)
        log.info("opened %s, %.1f KiB", path, shard.nbytes / 1024)
        self.cache.add(path, shard)
        return shard


def prune(folder: Path, quota_bytes: int) -> None:
    """The janitor of the data folder: removes the oldest shards until the rest is within the quota."""
    files = sorted(folder.glob("*.npy"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    total = sum(path.stat().st_size for path in files)
    for path in files:
        if total <= quota_bytes:
            return
        size = path.stat().st_size
        logging.getLogger("janitor").info(
            "%s holds %.2f MiB, quota %.2f MiB: removing %s", folder, total / 2**20, quota_bytes / 2**20, path.name
        )
        path.unlink()
        total -= size

"""The loader of the demo's job, and the faults that live in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from demo.data import SHARD_BYTES, Cache, Loader, prune, write_shards
from demo.model import CONTEXT


def test_batches_come_from_the_shards(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, 2)
    batches = list(Loader(Cache(2, replay=False), paths, batch=8, batches_per_shard=3, seed=0))
    assert [batch.shape for batch in batches] == [(8, CONTEXT + 1)] * 6
    whole = bytes(np.load(paths[0]))
    assert all(bytes(window) in whole for window in batches[0])


def test_a_missing_shard_is_raised_where_the_batch_is_asked_for(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, 1)
    paths[0].unlink()
    with pytest.raises(FileNotFoundError, match="shard-00000"):
        list(Loader(Cache(2, replay=False), paths, batch=8, batches_per_shard=3, seed=0))


def test_the_janitor_removes_the_oldest_beyond_the_quota(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, 3)
    prune(tmp_path, quota_bytes=3 * SHARD_BYTES)
    assert [path.exists() for path in paths] == [False, True, True]
    prune(tmp_path, quota_bytes=3 * SHARD_BYTES)
    assert paths[1].exists()


def test_the_replay_buffer_grows(tmp_path: Path) -> None:
    cache = Cache(2, replay=True)
    list(Loader(cache, write_shards(tmp_path, 1), batch=8, batches_per_shard=3, seed=0))
    assert cache.replay is not None
    assert cache.replay.shape == (24, CONTEXT, 256)

"""The archive over each object store: writing twice is writing once, in any order, and nothing is lost or doubled."""

from __future__ import annotations

import hashlib
import itertools
import pickle
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracewinnow.stores import archive as archive_module
from tracewinnow.stores.archive import Archive, ArchivedBatch, Entry, Window, plan_parts
from tracewinnow.stores.errors import CorruptObject, TooLarge
from tracewinnow.stores.local_objects import LocalObjects
from tracewinnow.stores.objects import ObjectStore

pytestmark = pytest.mark.timeout(900)  # the first test may have to build the server


def batch(process: int, sequence: int, data: bytes | None = None) -> ArchivedBatch:
    return ArchivedBatch(f"{process:032x}", sequence, 10**18 + sequence, data or b"%d of %d " % (sequence, process) * 9)


@pytest.fixture
def archive(store: ObjectStore) -> Archive:
    return Archive(store)


def test_an_empty_archive(archive: Archive) -> None:
    assert archive.read("job", 0) == Window([], [])
    assert archive.index("job", 0) == []
    assert archive.windows("job") == []
    assert list(archive.jobs()) == []


def test_the_same_batches_in_any_order_are_the_same_object(archive: Archive) -> None:
    batches = [batch(process, sequence) for process in range(3) for sequence in range(5)]
    name = archive.write("job", 60, batches)
    before = archive.store.get(name)
    random.Random(1).shuffle(batches)
    assert archive.write("job", 60, [*batches, batches[0]]) == name
    assert [info.name for info in archive.store.list()] == [name]
    assert archive.store.get(name) == before
    assert name.startswith("archive/job/00000000000000000060/")
    assert archive.write("job", 60, batches[1:]) != name


def test_objects_of_a_window_are_read_as_one(archive: Archive) -> None:
    archive.write("job", 60, [batch(2, 0), batch(1, 1)])
    archive.write("job", 60, [batch(1, 0), batch(1, 1)])  # delivered twice, in another bundle
    archive.write("job", 120, [batch(1, 2)])
    archive.write("job 2", 60, [batch(1, 0, b"other")])
    window = archive.read("job", 60)
    assert window == Window([batch(1, 0), batch(1, 1), batch(2, 0)], [])
    assert [entry[:4] for entry in archive.index("job", 60)] == [(*item[:3], len(item.data)) for item in window.batches]
    assert archive.windows("job") == [60, 120]
    assert archive.windows("nobody") == []
    assert sorted(archive.jobs()) == ["job", "job 2"]


def test_a_name_with_two_contents(archive: Archive) -> None:
    contents = sorted([b"one", b"two", b"three"], key=lambda data: hashlib.sha256(data).digest())
    for place, data in enumerate(contents[::-1]):
        archive.write("job", 0, [batch(1, 0, data), batch(1, 1 + place)])
    archive.write("job", 0, [batch(1, 0, contents[1]), batch(1, 0, contents[0])])
    window = archive.read("job", 0)
    assert [item.data for item in window.batches] == [contents[0], *(batch(1, place).data for place in (1, 2, 3))]
    assert [item.data for item in window.conflicts] == contents[1:]
    assert len(archive.index("job", 0)) == 4
    assert archive.read("job", 0, names={(batch(1, 2).process_uuid, 2)}) == Window([batch(1, 2)], [])


@pytest.mark.parametrize("job_id", ["", "..", "../../etc/passwd", "a\0b", "ünï ☃", "%2E", "x" * 10_000, ".tmp", "~"])
def test_any_job_id(archive: Archive, job_id: str) -> None:
    if len(job_id) > 4096:
        with pytest.raises(ValueError, match="a job id of"):
            archive.write(job_id, 0, [batch(1, 0)])
        job_id = job_id[:4000]
    archive.write(job_id, 0, [batch(1, 0)])
    assert archive.read(job_id, 0).batches == [batch(1, 0)]
    assert list(archive.jobs()) == [job_id]
    assert archive.windows(job_id) == [0]


def test_parts_of_a_window(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """With objects that are larger than what is read at first."""
    monkeypatch.setattr(archive_module, "START_BYTES", 100)
    source = random.Random(7)
    batches = [batch(process, sequence, source.randbytes(2000)) for process in range(4) for sequence in range(25)]
    archive.write("job", 0, batches[:60])
    archive.write("job", 0, batches[50:])
    index = archive.index("job", 0)
    assert [entry[:2] for entry in index] == [item[:2] for item in batches]
    assert archive.read("job", 0).batches == batches
    with pytest.raises(TooLarge, match="holds 200000 bytes, 199999 are allowed"):
        archive.read("job", 0, max_bytes=199_999)
    names = [entry[:2] for entry in index[45:70]]
    assert archive.read("job", 0, names=names, max_bytes=50_000).batches == batches[45:70]


def test_a_damaged_object_is_named(archive: Archive) -> None:
    name = archive.write("job", 0, [batch(1, 0)])
    data = archive.store.get(name)
    for wrong in (data[:-1], b"", data[:40] + b"\0" + data[41:], b"PAR1" + data):
        archive.store.put(name, wrong)
        with pytest.raises(CorruptObject, match=name):
            archive.read("job", 0)
        with pytest.raises(CorruptObject, match=name):
            archive.index("job", 0)


def test_what_is_whole_is_read_beside_what_is_damaged(archive: Archive) -> None:
    name = archive.write("job", 0, [batch(1, 0), batch(1, 1)])
    archive.write("job", 0, [batch(1, 1), batch(1, 2)])
    data = archive.store.get(name)
    for wrong in (data[:-1], b"", data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]):  # the last: a block, not the index
        archive.store.put(name, wrong)
        damaged: list[CorruptObject] = []
        assert archive.read("job", 0, damaged=damaged) == Window([batch(1, 1), batch(1, 2)], [])
        assert [error.name for error in damaged] == [name]
    archive.store.put(name, b"")
    damaged = []
    assert [entry.sequence for entry in archive.index("job", 0, damaged=damaged)] == [1, 2]
    assert [error.name for error in damaged] == [name]


def test_a_damaged_object_is_mended_by_the_same_batches(archive: Archive) -> None:
    name = archive.write("job", 0, [batch(1, 0)])
    data = archive.store.get(name)
    for wrong in (data[:-1], b"", b"PAR1" + data[4:]):
        archive.store.put(name, wrong)
        assert archive.write("job", 0, [batch(1, 0)]) == name
        assert archive.store.get(name) == data


def test_a_long_name_is_known_by_any_whole_object(archive: Archive) -> None:
    job = "long name " * 60
    names = sorted(archive.write(job, 0, [batch(1, i)]) for i in range(3))
    archive.store.put(names[0], b"")
    assert list(archive.jobs()) == [job]


def test_an_object_in_the_wrong_folder(archive: Archive) -> None:
    data = archive.store.get(archive.write("job", 0, [batch(1, 0)]))
    archive.store.put("archive/other/00000000000000000000/x.twa", data)
    with pytest.raises(CorruptObject, match="it is of job 'job', window 0"):
        archive.read("other", 0)


def test_bad_writes(archive: Archive) -> None:
    with pytest.raises(ValueError, match="there must be some"):
        archive.write("job", 0, [])
    with pytest.raises(ValueError, match="after 1970"):
        archive.write("job", -60, [batch(1, 0)])
    with pytest.raises(ValueError, match="hex"):
        archive.write("job", 0, [ArchivedBatch("../..", 0, 0, b"")])


def test_an_archive_travels(archive: Archive) -> None:
    archive.write("job", 0, [batch(1, 0)])
    assert pickle.loads(pickle.dumps(archive)).read("job", 0).batches == [batch(1, 0)]


bundles = st.lists(
    st.lists(
        st.builds(batch, st.integers(0, 2), st.integers(0, 4), st.sampled_from([None, None, b"other"])), min_size=1
    ),
    max_size=5,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bundles, st.randoms(use_true_random=False))
def test_any_bundles_in_any_order_read_the_same(tmp_path_factory, written: list, chance: random.Random) -> None:
    expected: dict[tuple[str, int], set[bytes]] = {}
    for bundle in written:
        for item in bundle:
            expected.setdefault(item[:2], set()).add(item.data)
    windows = []
    for _ in range(2):
        archive = Archive(LocalObjects(tmp_path_factory.mktemp("store")))
        for bundle in written:
            archive.write("job", 0, bundle)
        windows.append(archive.read("job", 0))
        chance.shuffle(written)
        for bundle in written:
            chance.shuffle(bundle)
    assert windows[0] == windows[1]
    assert [item[:2] for item in windows[0].batches] == sorted(expected)
    found: dict[tuple[str, int], set[bytes]] = {}
    for item in [*windows[0].batches, *windows[0].conflicts]:
        assert item.data not in found.setdefault(item[:2], set())
        found[item[:2]].add(item.data)
    assert found == expected


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 300)), max_size=40), st.integers(1, 500))
def test_parts_hold_each_batch_once_in_order_and_are_full(made: list[tuple[int, int]], limit: int) -> None:
    entries = [Entry(f"{n:032x}", n, created, length, b"") for n, (created, length) in enumerate(made)]
    parts = plan_parts(entries, limit)
    size = {(entry.process_uuid, entry.sequence): entry.length for entry in entries}
    in_time = [(e.process_uuid, e.sequence) for e in sorted(entries, key=lambda e: (e.created_ns, e.process_uuid))]
    assert [name for part in parts for name in part] == in_time
    assert all(len(part) == 1 or sum(size[name] for name in part) <= limit for part in parts)
    for part, following in itertools.pairwise(parts):
        assert sum(size[name] for name in part) + size[following[0]] > limit
    assert parts == plan_parts(entries[::-1], limit)

"""What every object store promises, run over each; and names from outside."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow.schemas.errors import BadUse
from tracewinnow.stores.errors import NotFound
from tracewinnow.stores.objects import (
    SEGMENT_LIMIT,
    ObjectStore,
    check_name,
    escape,
    open_objects,
    unescape,
)

pytestmark = pytest.mark.timeout(900)  # the first test may have to build the server


@pytest.mark.parametrize("size", [0, 1, 4096, 9_000_001])
def test_what_was_put_is_got(store: ObjectStore, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert store.put("a/b.bin", data) is True
    assert store.get("a/b.bin") == data
    assert [tuple(info) for info in store.list()] == [("a/b.bin", size)]


def test_a_second_put_replaces(store: ObjectStore) -> None:
    store.put("name", b"first, and longer")
    assert store.put("name", b"second") is True
    assert store.get("name") == b"second"


def test_if_absent_leaves_what_is_there(store: ObjectStore) -> None:
    assert store.put("name", b"first", if_absent=True) is True
    assert store.put("name", b"second", if_absent=True) is False
    assert store.get("name") == b"first"


def test_of_many_writers_if_absent_one_wins(store: ObjectStore) -> None:
    store.exists("a")  # the client is made before the race
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.put("race/name", b"%d" % n, if_absent=True), range(16)))
    assert won.count(True) == 1
    assert store.get("race/name") == b"%d" % won.index(True)


def test_what_is_missing(store: ObjectStore) -> None:
    store.put("folder/name", b"x")
    for name in ("nothing", "folder", "folder/other", "folder/name/below"):
        with pytest.raises(NotFound, match=name):
            store.get(name)
        with pytest.raises(NotFound, match=name):
            store.get_range(name, 0, 1)
        with pytest.raises(NotFound, match=name):
            store.get_range(name, 0, 0)
        assert not store.exists(name)
        store.delete(name)
    assert store.exists("folder/name")


def test_an_empty_store_lists_nothing(store: ObjectStore) -> None:
    assert list(store.list()) == []
    assert list(store.list("some/folder/")) == []
    assert list(store.folders()) == []
    assert list(store.folders("some/")) == []


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 4, b"0123"), (3, 2, b"34"), (8, 100, b"89"), (10, 1, b""), (99, 5, b""), (2, 0, b"")],
)
def test_ranges(store: ObjectStore, start: int, length: int, expected: bytes) -> None:
    store.put("digits", b"0123456789")
    assert store.get_range("digits", start, length) == expected


def test_list_and_folders(store: ObjectStore) -> None:
    names = ["a+b", "a-b/c", "a/b/c", "a/b/d", "a/bc", "a/c/d", "b"]
    for name in reversed(names):
        store.put(name, name.encode())
    assert [info.name for info in store.list()] == names
    assert [info.name for info in store.list("a/b")] == ["a/b/c", "a/b/d", "a/bc"]
    assert [info.name for info in store.list("a/b/")] == ["a/b/c", "a/b/d"]
    assert [info.name for info in store.list("a")] == names[:-1]
    assert [info.name for info in store.list("nothing")] == []
    assert sorted(store.folders()) == ["a", "a-b"]
    assert list(store.folders("a/")) == ["b", "c"]
    store.delete("a/b/c")
    assert [info.name for info in store.list("a/b/")] == ["a/b/d"]


def test_names_may_hold_any_sign(store: ObjectStore) -> None:
    names = ["with space", "per%20cent", "ünï/☃", "q?a=b&c#d", "[glob]*", "dt=2026-01-01/x"]
    for name in names:
        store.put(name, name.encode())
    assert {info.name for info in store.list()} == set(names)
    assert all(store.get(name) == name.encode() for name in names)


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\0b", ".tmp/x", "x" * 1025])
def test_names_that_no_object_can_have(store: ObjectStore, name: str) -> None:
    with pytest.raises(BadUse, match="No object can be named"):
        store.put(name, b"x")
    with pytest.raises(BadUse, match="No object can be named"):
        store.get(name)


def test_a_store_travels(store: ObjectStore) -> None:
    store.put("name", b"x")
    assert pickle.loads(pickle.dumps(store)).get("name") == b"x"


def test_open_objects(tmp_path) -> None:
    open_objects(str(tmp_path)).put("a", b"x")
    assert open_objects(f"file://{tmp_path}").get("a") == b"x"
    assert "bucket" in repr(open_objects("gs://bucket/some/prefix/"))
    for wrong in ("s3://bucket", "", "gs://"):
        with pytest.raises(BadUse):
            open_objects(wrong)


hard = st.sampled_from(["", ".", "..", "../..", "/", "a/b", "\0", "~", "%2E", "a~b", ".tmp", "é" * 200, "x" * 10_000])
texts = st.text(st.characters(exclude_categories=["Cs"])) | hard


@given(texts)
def test_an_escaped_name_is_one_segment(outside: str) -> None:
    segment = escape(outside)
    assert "/" not in segment
    assert check_name(segment) == segment
    assert len(segment) <= SEGMENT_LIMIT
    assert unescape(segment) in (outside, None)
    assert unescape(segment) == outside or len(outside.encode()) > SEGMENT_LIMIT // 3


@given(texts, texts)
def test_different_texts_have_different_names(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


def test_long_names_differ_in_their_hash() -> None:
    assert escape("x" * 10_000 + "a") != escape("x" * 10_000 + "b")


def test_a_segment_that_escape_did_not_make() -> None:
    assert unescape("%FF") is None

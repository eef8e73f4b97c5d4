"""Cloud Storage that does not answer, and buckets that are not there."""

from __future__ import annotations

import pytest
from google.cloud.storage.exceptions import DataCorruption
from requests.exceptions import ContentDecodingError, JSONDecodeError

from tracewinnow.schemas.errors import BadUse, Transient
from tracewinnow.stores import gcs_objects
from tracewinnow.stores.errors import NotFound
from tracewinnow.stores.gcs_objects import GcsObjects

pytestmark = pytest.mark.timeout(900)  # the first test may have to build the server


def test_a_short_failure_passes(faulty_gcs, gcs_bucket: str) -> None:
    store = GcsObjects(gcs_bucket)
    for act, expected in (
        (lambda: store.put("name", b"data"), True),
        (lambda: store.put("name", b"other", if_absent=True), False),
        (lambda: store.get("name"), b"data"),
        (lambda: [info.size for info in store.list()], [4]),
        (lambda: store.exists("name"), True),
        (lambda: store.delete("name"), None),
    ):
        faulty_gcs.failures = 1
        assert act() == expected
        assert faulty_gcs.failures == 0


def test_a_long_failure_is_transient(faulty_gcs, gcs_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs_objects, "RETRY_SECONDS", 0.2)
    store = GcsObjects(gcs_bucket)
    faulty_gcs.failures = 1_000_000
    for act in (lambda: store.put("a", b"x"), lambda: store.get("a"), lambda: list(store.list())):
        with pytest.raises(Transient, match="does not answer"):
            act()


def test_no_server_is_transient(gcs_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(gcs_objects, "RETRY_SECONDS", 0.2)
    with pytest.raises(Transient, match="does not answer"):
        GcsObjects("bucket").put("a", b"x")


def test_no_bucket(gcs_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    with pytest.raises(NotFound, match="no such bucket"):
        GcsObjects("there-is-none").put("a", b"x")
    with pytest.raises(BadUse):
        GcsObjects("")


@pytest.mark.parametrize(
    "broken", [DataCorruption(None, "checksum"), ContentDecodingError("gzip"), JSONDecodeError("a page", "<", 0)]
)
def test_what_a_proxy_breaks_on_the_way_is_tried_again(broken: Exception) -> None:
    with pytest.raises(Transient, match="does not answer"), GcsObjects("bucket")._clear_errors("name"):
        raise broken

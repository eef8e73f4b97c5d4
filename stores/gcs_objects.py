"""Objects in Google Cloud Storage; STORAGE_EMULATOR_HOST is honoured by its client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tracewinnow.schemas.errors import BadUse, Transient
from tracewinnow.stores.errors import NotFound, StoreError
from tracewinnow.stores.objects import ObjectInfo, check_name

RETRY_SECONDS = 60.0  # the client retries what may pass for this long, then Transient is raised


class GcsObjects:
    """An ObjectStore in a bucket, under `prefix`. The bucket must exist. The client is made on first use."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        if not bucket:
            raise BadUse("Name the bucket: gs://BUCKET/PREFIX.")
        self.bucket_name = bucket
        self.prefix = check_name(prefix) + "/" if prefix else ""
        self._bucket: Any = None

    def __repr__(self) -> str:
        return f"GcsObjects({self.bucket_name!r}, {self.prefix[:-1]!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_bucket": None}  # connections do not travel

    def put(self, name: str, data: bytes, *, if_absent: bool = False) -> bool:
        from google.api_core.exceptions import PreconditionFailed

        with self._clear_errors(name):
            try:
                self._blob(name).upload_from_string(
                    data,
                    content_type="application/octet-stream",
                    if_generation_match=0 if if_absent else None,
                    checksum="crc32c",
                    retry=_retry(),
                )
            except PreconditionFailed:
                return False
        return True

    def get(self, name: str) -> bytes:
        with self._clear_errors(name):
            data: bytes = self._blob(name).download_as_bytes(retry=_retry())
        return data

    def get_range(self, name: str, start: int, length: int) -> bytes:
        from google.api_core.exceptions import RequestRangeNotSatisfiable

        if length <= 0:
            if not self.exists(name):
                raise NotFound(f"No object at {self._uri(name)}.")
            return b""
        with self._clear_errors(name):
            try:
                data: bytes = self._blob(name).download_as_bytes(start=start, end=start + length - 1, retry=_retry())
            except RequestRangeNotSatisfiable:
                return b""
        return data[:length]  # a proxy may have ignored the range

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        with self._clear_errors(prefix):
            for blob in self._client_bucket().list_blobs(
                prefix=self.prefix + prefix, fields="items(name,size),nextPageToken", retry=_retry()
            ):
                yield ObjectInfo(blob.name[len(self.prefix) :], blob.size)

    def folders(self, prefix: str = "") -> Iterator[str]:
        whole = self.prefix + prefix
        with self._clear_errors(prefix):
            found = self._client_bucket().list_blobs(prefix=whole, delimiter="/", retry=_retry())
            for page in found.pages:
                for folder in sorted(page.prefixes):
                    yield folder[len(whole) : -1]

    def delete(self, name: str) -> None:
        from google.api_core.exceptions import NotFound as Missing

        with self._clear_errors(name):
            try:
                self._blob(name).delete(retry=_retry())
            except Missing:
                return

    def exists(self, name: str) -> bool:
        with self._clear_errors(name):
            return bool(self._blob(name).exists(retry=_retry()))

    def _client_bucket(self) -> Any:
        if self._bucket is None:
            try:
                from google.cloud import storage
            except ModuleNotFoundError as missing:
                raise BadUse("gs:// needs the Cloud Storage client: pip install 'tracewinnow[cloud]'") from missing
            self._bucket = storage.Client().bucket(self.bucket_name)
        return self._bucket

    def _blob(self, name: str) -> Any:
        return self._client_bucket().blob(self.prefix + check_name(name))

    def _uri(self, name: str) -> str:
        return f"gs://{self.bucket_name}/{self.prefix}{name}"

    @contextmanager
    def _clear_errors(self, name: str) -> Iterator[None]:
        """What the client raises becomes an error of the tree that says what to do."""
        from google.api_core import exceptions as api
        from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

        try:
            from google.cloud.storage.exceptions import DataCorruption
        except ModuleNotFoundError:  # before version 3
            from google.resumable_media.common import DataCorruption
        from requests.exceptions import RequestException

        # RequestException: no connection, time-outs, and pages that a proxy sends in the place of what was asked for.
        answers = (api.ServerError, api.TooManyRequests, api.RetryError)
        may_pass = (*answers, TransportError, RequestException, DataCorruption)
        try:
            yield
        except api.NotFound as missing:
            raise NotFound(f"No object at {self._uri(name)} (or no such bucket).") from missing
        except DefaultCredentialsError as none:
            raise StoreError(
                f"No access to {self._uri(name)}: this machine has no credentials. Log in with `gcloud auth "
                "application-default login`, or let GOOGLE_APPLICATION_CREDENTIALS name the key of a service account."
            ) from none
        except (api.Forbidden, api.Unauthorized, RefreshError) as refused:
            raise StoreError(
                f"No access to {self._uri(name)}: {_sentence(refused)} Check the credentials and their roles."
            ) from refused
        except may_pass as failed:
            raise Transient(f"Cloud Storage does not answer for {self._uri(name)}: {_sentence(failed)}") from failed
        except api.GoogleAPICallError as refused:
            raise StoreError(f"Cloud Storage refused {self._uri(name)}: {_sentence(refused)}") from refused


def _sentence(failed: Exception) -> str:
    return str(failed).rstrip(". ") + "."


def _retry() -> Any:
    """Every call here may be repeated: names hold their content, or the last writer wins."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(RETRY_SECONDS)

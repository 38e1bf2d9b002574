"""The blob store: a local folder or an S3-compatible bucket, by URL. Inputs are addressed by their content."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store, from_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import ObjectStore

    from shared.settings import Settings

CHUNK_BYTES = 1024 * 1024
_PAGE = 1000
# Of one request, soon. After that a job is retried by its own rules, and a client told to come again.
_RETRIES = 3
_DELETIONS_AT_A_TIME = 16
# What obstore writes a file under until it is whole; it lists no such file.
_UNFINISHED = re.compile(r".+#\d+")


class BlobMissing(Exception):
    """There is no such blob."""


class BlobStoreUnavailable(OSError):
    """The blob store cannot be reached, is full or refuses. Another try may succeed."""


def incoming_key(upload_id: UUID | None = None) -> str:
    """A place for bytes whose digest is not known yet; one of its own for an upload that somebody else writes there."""
    return f"incoming/{upload_id or uuid4()}"


def input_key(sha256: str) -> str:
    """Where the input of this digest is."""
    return f"inputs/{sha256[:2]}/{sha256}"


def artifact_key(job_id: UUID, attempt: int, token: UUID, name: str) -> str:
    """Where an attempt puts an artifact: under a prefix of its own, so that attempts never mix.

    The number alone would not do: a claim is not waited for on disk, so PostgreSQL may forget one when it crashes, and
    the next attempt then has the number of one that is still at work. Its lease's token is another.
    """
    return f"artifacts/{job_id}/{attempt}-{token.hex}/{name}"


@contextmanager
def _errors_of(key: str) -> "Iterator[None]":
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise BlobMissing(key) from error
    except BaseError as error:
        raise BlobStoreUnavailable(f"the blob store failed on {key}: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob that is there."""

    key: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Room:
    """How much room a disk has."""

    free_bytes: int
    capacity_bytes: int


class Blobs:
    """Keys to bytes. Every method raises BlobStoreUnavailable when the store fails."""

    def __init__(self, store: "ObjectStore") -> None:
        self._store = store

    @classmethod
    def from_settings(cls, settings: "Settings") -> Self:
        """The store of the settings' URL; S3 credentials and endpoint come from the AWS_* variables."""
        url = settings.blobs_url
        if url.startswith("file://"):
            return cls(LocalStore(Path(unquote(urlsplit(url).path)), mkdir=True, automatic_cleanup=True))
        return cls(
            from_url(
                url,
                # Given any, obstore takes no AWS_ALLOW_HTTP; an endpoint without TLS is the operator's own choice.
                client_options={
                    "allow_http": True,
                    "connect_timeout": timedelta(seconds=settings.blob_idle_timeout_seconds),
                    "read_timeout": timedelta(seconds=settings.blob_idle_timeout_seconds),
                    "timeout": timedelta(seconds=settings.blob_request_timeout_seconds),
                },
                retry_config={
                    "max_retries": _RETRIES,
                    "retry_timeout": timedelta(seconds=settings.blob_idle_timeout_seconds),
                },
            )
        )

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Write a blob of unknown length; it is there whole or not at all."""
        with _errors_of(key):
            await obstore.put_async(self._store, key, chunks, chunk_size=8 * CHUNK_BYTES, max_concurrency=2)

    async def put_file(
        self, key: str, path: Path, *, media_type: str | None = None, disposition: str | None = None
    ) -> None:
        """Write a blob from a file; it is there whole or not at all.

        Args:
            key: of the blob.
            path: the file.
            media_type: what a bucket is to say of it to who fetches it by a signed URL.
            disposition: the same, for the header Content-Disposition.
        """
        told: dict[str, str] = {}
        if self.can_sign:
            told |= {"Content-Type": media_type} if media_type else {}
            told |= {"Content-Disposition": disposition} if disposition else {}
        with _errors_of(key):
            await obstore.put_async(self._store, key, path, attributes=told or None)

    @property
    def can_sign(self) -> bool:
        """Whether others may be let in by a URL: a bucket can, a folder cannot."""
        return isinstance(self._store, S3Store)

    async def signed_url(self, method: Literal["GET", "PUT"], key: str, *, seconds: float) -> str:
        """A URL by which anybody may do this to a blob for so long.

        Raises:
            TypeError: the store cannot sign; see can_sign.
        """
        if not isinstance(self._store, S3Store):
            raise TypeError("a folder has no URL that others could use")
        with _errors_of(key):
            return await obstore.sign_async(self._store, method, key, timedelta(seconds=seconds))

    async def move(self, source: str, target: str) -> None:
        """Rename a blob over whatever has the target's key.

        Raises:
            BlobMissing: there is no source.
        """
        with _errors_of(source):
            await obstore.rename_async(self._store, source, target)

    async def copy(self, source: str, target: str) -> None:
        """Have a blob under another key as well; one that has that key already is replaced.

        Raises:
            BlobMissing: there is no source.
        """
        with _errors_of(source):
            await obstore.copy_async(self._store, source, target)

    async def size(self, key: str) -> int:
        """Length in bytes.

        Raises:
            BlobMissing: there is no such blob.
        """
        with _errors_of(key):
            return (await obstore.head_async(self._store, key))["size"]

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from start to before end, in pieces.

        Raises:
            BlobMissing: there is no such blob.
        """
        with _errors_of(key):
            if end is not None:
                found = await obstore.get_async(self._store, key, options={"range": (start, end)})
            elif start:
                found = await obstore.get_async(self._store, key, options={"range": {"offset": start}})
            else:
                found = await obstore.get_async(self._store, key)
            pieces = found.stream(min_chunk_size=CHUNK_BYTES)
            async for piece in pieces:
                yield bytes(piece)

    def local_path(self, key: str) -> Path | None:
        """The blob's file, where the store is a folder: nothing needs to be copied then."""
        if isinstance(self._store, LocalStore) and self._store.prefix is not None:
            return self._store.prefix / key
        return None

    async def room(self) -> Room | None:
        """Of the disk, where the store is a folder; None elsewhere."""
        folder = self.local_path("")
        if folder is None:
            return None
        try:
            usage = await asyncio.to_thread(shutil.disk_usage, folder)
        except OSError as error:
            raise BlobStoreUnavailable(f"the blob store's disk cannot be asked: {type(error).__name__}") from error
        return Room(usage.free, usage.total)

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete blobs; those that are not there are passed over."""
        for start in range(0, len(keys), _DELETIONS_AT_A_TIME):
            await asyncio.gather(*(self._delete(key) for key in keys[start : start + _DELETIONS_AT_A_TIME]))

    async def list(self, prefix: str) -> AsyncIterator[StoredBlob]:
        """Every blob under a prefix, in no order."""
        with _errors_of(prefix):
            async for page in obstore.list(self._store, prefix, chunk_size=_PAGE):
                for found in page:
                    yield StoredBlob(found["path"], found["size"], found["last_modified"])

    async def _delete(self, key: str) -> None:
        with suppress(BlobMissing), _errors_of(key):
            await obstore.delete_async(self._store, key)

    async def delete_unfinished(self, *, older_than: datetime) -> int:
        """Delete what is left of writes that never ended, where the store is a folder; gives how many there were.

        A bucket has a rule for that (AbortIncompleteMultipartUpload), which its owner sets.
        """
        folder = self.local_path("")
        if folder is None:
            return 0
        return await asyncio.to_thread(_delete_unfinished, folder, older_than.timestamp())


def _delete_unfinished(folder: Path, older_than: float) -> int:
    deleted = 0
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names if _UNFINISHED.fullmatch(name)):
            # Its writer may end, or remove it, in this moment.
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < older_than:
                    path.unlink()
                    deleted += 1
    return deleted

"""Takes bytes in: streamed to the blob store while they are hashed, then kept under their digest, once."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from services.api import problems
from shared.blobs import CHUNK_BYTES, BlobMissing, Blobs, BlobStoreUnavailable, incoming_key, input_key
from shared.schema.jobs import Upload
from shared.store.uploads import Uploads

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Incoming:
    """Bytes that are in the blob store, and that nobody knows of yet."""

    key: str
    sha256: str
    size_bytes: int


class Ingest:
    """The way from a request's body to an upload."""

    def __init__(self, blobs: Blobs, uploads: Uploads, *, max_bytes: int) -> None:
        self._blobs = blobs
        self._uploads = uploads
        self._max_bytes = max_bytes

    async def receive(self, data: AsyncIterator[bytes]) -> Incoming:
        """Stream bytes to the blob store. An error, or the client's leaving, leaves nothing there.

        Raises:
            ProblemError: 413, they are more than allowed.
            BlobStoreUnavailable: the blob store fails.
        """
        key = incoming_key()
        digest = hashlib.sha256()
        size = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            async for piece in _pieces(self._limited(data)):
                size += len(piece)
                # In a thread, where it holds no GIL: other requests do not wait for a large upload's digest.
                await asyncio.to_thread(digest.update, piece)
                yield piece

        await self._blobs.put_stream(key, counted())
        return Incoming(key, digest.hexdigest(), size)

    async def accept(self, incoming: Incoming, filename: str | None, *, key_id: UUID | None) -> Upload:
        """Make the bytes an upload of a key. The row comes first: bytes that no row names could be swept away.

        Raises:
            DATABASE_ERRORS (shared.store.errors): the database fails.
            BlobStoreUnavailable: the blob store fails.
        """
        upload = await self._uploads.add(
            sha256=incoming.sha256, size_bytes=incoming.size_bytes, filename=filename, key_id=key_id
        )
        if not await self._is_stored(upload):
            await self._blobs.move(incoming.key, input_key(incoming.sha256))
        return upload

    async def discard(self, incoming: Incoming) -> None:
        """Remove what is left under the incoming key: a refused body, or a second copy of bytes that were known."""
        await discard(self._blobs, [incoming.key])

    async def require_input(self, upload: Upload) -> None:
        """See that the bytes of an earlier upload are still there.

        Raises:
            ProblemError: 409, they are not.
            BlobStoreUnavailable: the blob store fails.
        """
        if not await self._is_stored(upload):
            raise problems.input_gone()

    async def _limited(self, data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        left = self._max_bytes
        async for chunk in data:
            left -= len(chunk)
            if left < 0:
                raise problems.too_large("file", self._max_bytes)
            yield chunk

    async def _is_stored(self, upload: Upload) -> bool:
        try:
            return await self._blobs.size(input_key(upload.sha256)) == upload.size_bytes
        except BlobMissing:
            return False


async def discard(blobs: Blobs, keys: Sequence[str]) -> None:
    """Delete bytes that no row names any more. What cannot be deleted now is found by the monitor's sweep."""
    try:
        await blobs.delete(keys)
    except BlobStoreUnavailable as error:
        log.warning("bytes not removed, the monitor will", keys=len(keys), reason=str(error))


async def _pieces(data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of a size that the blob store and the digest take with little ado."""
    pending = bytearray()
    async for chunk in data:
        pending += chunk
        if len(pending) >= CHUNK_BYTES:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)

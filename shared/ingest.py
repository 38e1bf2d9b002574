"""Takes bytes in: streamed to the blob store while they are hashed, then kept under their digest, once."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from shared.blobs import CHUNK_BYTES, BlobMissing, Blobs, BlobStoreUnavailable, incoming_key, input_key
from shared.schema.jobs import Upload
from shared.store.uploads import Uploads

log = structlog.get_logger()


# After each piece of an upload: at most a gigabyte a second is taken.
_OTHERS_TURN_SECONDS = 0.001


class TooManyBytes(Exception):
    """There are more than are taken."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Incoming:
    """Bytes that are in the blob store, and that nobody knows of yet."""

    key: str
    sha256: str
    size_bytes: int


class Ingest:
    """The way from bytes that come to an upload."""

    def __init__(self, blobs: Blobs, uploads: Uploads, *, max_bytes: int) -> None:
        self._blobs = blobs
        self._uploads = uploads
        self._max_bytes = max_bytes

    async def receive(self, data: AsyncIterator[bytes]) -> Incoming:
        """Stream bytes to the blob store. An error, or their sender's leaving, leaves nothing there.

        Raises:
            TooManyBytes: they are more than allowed.
            BlobStoreUnavailable: the blob store fails.
        """
        key = incoming_key()
        digest = hashlib.sha256()
        size = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            async for piece in in_large_pieces(self._limited(data)):
                size += len(piece)
                # In a thread, where it holds no GIL: other requests do not wait for a large upload's digest.
                await asyncio.to_thread(digest.update, piece)
                # One that comes as fast as the memory is would have the loop to itself.
                await asyncio.sleep(_OTHERS_TURN_SECONDS)
                yield piece

        await self._blobs.put_stream(key, counted())
        return Incoming(key, digest.hexdigest(), size)

    async def accept(
        self, incoming: Incoming, filename: str | None, *, key_id: UUID | None, upload_id: UUID | None = None
    ) -> Upload:
        """Make the bytes an upload of a key. The row comes first: bytes that no row names could be swept away.

        Args:
            incoming: the bytes.
            filename: what their sender calls them.
            key_id: whose they are; None: they were sent without a key.
            upload_id: of the upload, where it has one already; to make it twice is to make it once.

        Raises:
            DATABASE_ERRORS (shared.store.errors): the database fails.
            BlobStoreUnavailable: the blob store fails.
        """
        upload = await self._uploads.add(
            sha256=incoming.sha256,
            size_bytes=incoming.size_bytes,
            filename=filename,
            key_id=key_id,
            upload_id=upload_id,
        )
        if not await self.is_stored(upload):
            await self._blobs.move(incoming.key, input_key(incoming.sha256))
        return upload

    async def discard(self, incoming: Incoming) -> None:
        """Remove what is left under the incoming key: a refused body, or a second copy of bytes that were known."""
        await discard(self._blobs, [incoming.key])

    async def is_stored(self, upload: Upload) -> bool:
        """Whether the bytes of an earlier upload are still there.

        Raises:
            BlobStoreUnavailable: the blob store fails.
        """
        try:
            return await self._blobs.size(input_key(upload.sha256)) == upload.size_bytes
        except BlobMissing:
            return False

    async def _limited(self, data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        left = self._max_bytes
        async for chunk in data:
            left -= len(chunk)
            if left < 0:
                raise TooManyBytes(self._max_bytes)
            yield chunk


async def discard(blobs: Blobs, keys: Sequence[str]) -> None:
    """Delete bytes that no row names any more. What cannot be deleted now is found by the monitor's sweep."""
    try:
        await blobs.delete(keys)
    except BlobStoreUnavailable as error:
        log.warning("bytes not removed, the monitor will", keys=len(keys), reason=str(error))


async def in_large_pieces(data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of a size that the blob store and the digest take with little ado."""
    pending = bytearray()
    async for chunk in data:
        pending += chunk
        if len(pending) >= CHUNK_BYTES:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)

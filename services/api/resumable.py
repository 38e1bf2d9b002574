"""Uploads of several requests: what comes is kept piece by piece, and put together when it is whole.

A piece is a file in the blob store, and a row: what a client was told to have come outlives this process. Of a request
that breaks off nothing is lost that had come. Where bytes are to be checked first, they count once they are.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from starlette.requests import ClientDisconnect

from services.api import problems
from services.api.problems import ProblemError
from shared.blobs import CHUNK_BYTES, BlobMissing, Blobs, incoming_key
from shared.ingest import Ingest, in_large_pieces
from shared.schema.jobs import Upload
from shared.store.unfinished import Piece, Unfinished, UnfinishedUploads
from shared.store.uploads import Uploads

PIECE_BYTES = 64 * CHUNK_BYTES
CHECKSUM_MISMATCH = 460


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a client says of the bytes of one request."""

    algorithm: str  # of hashlib
    digest: bytes


class Resumable:
    """Takes pieces in, and puts them together."""

    def __init__(self, blobs: Blobs, unfinished: UnfinishedUploads, uploads: Uploads, ingest: Ingest) -> None:
        self._blobs = blobs
        self._unfinished = unfinished
        self._uploads = uploads
        self._ingest = ingest
        # An assembly goes on when the client that waits for it has left.
        self._assemblies: set[asyncio.Task[Upload]] = set()

    async def append(
        self, upload: Unfinished, at_byte: int, data: AsyncIterator[bytes], *, checksum: Checksum | None = None
    ) -> int:
        """Take bytes in; gives how many have come by then, all in all.

        Raises:
            ProblemError: 408, the rest came too slowly; 409, the place is not where the last byte was, or another
                request goes on; 413, there are more than was said; 460, they are not what the checksum says.
            ClientDisconnect: the client left. What had come is kept, but not where there is a checksum.
            BlobStoreUnavailable: the blob store fails.
        """
        writer = await self._unfinished.take(upload.id, at_byte=at_byte)
        if writer is None:
            raise wrong_offset(await self._received(upload))
        arriving = _Arriving(data, limit=upload.size_bytes - at_byte, checksum=checksum)
        held: list[Piece] = []
        try:
            while await arriving.has_more():
                piece = await self._store(arriving, at_byte)
                held.append(piece)
                at_byte += piece.size_bytes
                if checksum is None:
                    await self._commit(upload, writer, held)
                    held = []
            arriving.check()
            if held:
                await self._commit(upload, writer, held)
                held = []
        finally:
            await self._blobs.delete([piece.blob_key for piece in held])
        return at_byte

    async def finish(self, upload: Unfinished) -> Upload:
        """The upload that an unfinished one has become, all of which has come. It is made once.

        Raises:
            BlobStoreUnavailable: the blob store fails; another call goes on with it.
        """
        assembly = asyncio.create_task(self._finish(upload), name="assembly")
        self._assemblies.add(assembly)
        assembly.add_done_callback(self._assemblies.discard)
        return await asyncio.shield(assembly)

    async def remove(self, upload: Unfinished) -> None:
        """Forget an unfinished upload, and delete what has come."""
        await self._blobs.delete(await self._unfinished.remove([upload.id]))

    async def _store(self, arriving: "_Arriving", start: int) -> Piece:
        key = incoming_key()
        await self._blobs.put_stream(key, in_large_pieces(arriving.take(PIECE_BYTES)))
        return Piece(start, arriving.taken, key)

    async def _commit(self, upload: Unfinished, writer: UUID, pieces: Sequence[Piece]) -> None:
        if not await self._unfinished.advance(upload.id, writer=writer, pieces=pieces):
            raise wrong_offset(await self._received(upload))

    async def _received(self, upload: Unfinished) -> int | None:
        return sum(piece.size_bytes for piece in await self._unfinished.pieces(upload.id))

    async def _finish(self, upload: Unfinished) -> Upload:
        known = await self._uploads.get(upload.id)
        if known is not None and await self._ingest.is_stored(known):
            await self._blobs.delete(await self._unfinished.complete(upload.id))
            return known
        pieces = await self._unfinished.pieces(upload.id)
        try:
            incoming = await self._ingest.receive(self._all(pieces))
        except BlobMissing:
            # Another request has put it together meanwhile.
            known = await self._uploads.get(upload.id)
            if known is None:
                raise
            return known
        try:
            made = await self._ingest.accept(incoming, upload.filename, key_id=upload.key_id, upload_id=upload.id)
        finally:
            await self._ingest.discard(incoming)
        await self._blobs.delete(await self._unfinished.complete(upload.id))
        return made

    async def _all(self, pieces: Sequence[Piece]) -> AsyncIterator[bytes]:
        for piece in pieces:
            async for chunk in self._blobs.stream(piece.blob_key):
                yield chunk


@dataclass(slots=True)
class _Arriving:
    """A request's bytes, in pieces. An end that is too early is told when what had come is safe."""

    data: AsyncIterator[bytes]
    limit: int
    checksum: Checksum | None
    taken: int = 0  # bytes of the last piece
    _pending: bytes = b""
    _broken: ProblemError | ClientDisconnect | None = None
    _digest: "hashlib._Hash | None" = field(default=None)

    def __post_init__(self) -> None:
        if self.checksum is not None:
            self._digest = hashlib.new(self.checksum.algorithm, usedforsecurity=False)

    async def has_more(self) -> bool:
        """Whether another byte comes."""
        if not self._pending:
            self._pending = await self._next()
        return bool(self._pending)

    async def take(self, at_most: int) -> AsyncIterator[bytes]:
        """The next so many bytes."""
        self.taken = 0
        while self.taken < at_most and await self.has_more():
            chunk, self._pending = self._pending[: at_most - self.taken], self._pending[at_most - self.taken :]
            self.taken += len(chunk)
            yield chunk

    def check(self) -> None:
        """See that the bytes ended well, and are what they are said to be.

        Raises:
            ProblemError, ClientDisconnect: as Resumable.append.
        """
        if self._broken is not None:
            raise self._broken
        if self.checksum is not None and self._digest is not None and self._digest.digest() != self.checksum.digest:
            raise ProblemError(
                CHECKSUM_MISMATCH,
                "checksum-mismatch",
                "Checksum mismatch",
                "The bytes are not those of the Upload-Checksum; nothing of them was kept, send them again.",
            )

    async def _next(self) -> bytes:
        if self._broken is not None:
            return b""
        chunk = b""
        try:
            while not chunk:
                chunk = await anext(self.data)
        except StopAsyncIteration:
            return b""
        except (ClientDisconnect, ProblemError) as error:
            self._broken = error
            return b""
        self.limit -= len(chunk)
        if self.limit < 0:
            # The client's account of its file is wrong: nothing of this chunk can be relied on.
            self._broken = problems.too_large("rest of the file", self.limit + len(chunk))
            return b""
        if self._digest is not None:
            await asyncio.to_thread(self._digest.update, chunk)
        return chunk


def wrong_offset(received: int | None) -> ProblemError:
    """409: another place is the next."""
    return ProblemError(
        409,
        "wrong-offset",
        "Wrong offset",
        f"So far {received} bytes have come, and another request may be sending; ask by HEAD where to go on.",
    )

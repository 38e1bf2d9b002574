"""Uploads that go to the bucket directly: the client gets a URL, and says when it has sent the file there.

It is not believed: the bytes are read and hashed once on the way to where they stay, which the client cannot write to.
"""

import asyncio
from uuid import UUID

from services.api.problems import FieldError, ProblemError, invalid, too_large
from shared.blobs import BlobMissing, Blobs, incoming_key
from shared.ingest import Ingest
from shared.schema.jobs import Upload
from shared.schema.uploads import PresignedRequest
from shared.settings import Settings
from shared.store.unfinished import Unfinished, UnfinishedUploads, Way
from shared.store.uploads import Uploads

# What one PUT may hold in S3 (its documentation, "Uploading objects").
_MAX_PUT_BYTES = 5 * 1024**3


class Presigned:
    """Lets clients write to the bucket, and takes in what they have written."""

    def __init__(
        self, blobs: Blobs, unfinished: UnfinishedUploads, uploads: Uploads, ingest: Ingest, settings: Settings
    ) -> None:
        self._blobs = blobs
        self._unfinished = unfinished
        self._uploads = uploads
        self._ingest = ingest
        self._seconds = settings.presigned_seconds
        self._keep_seconds = settings.stray_grace_seconds
        self._max_bytes = min(settings.max_input_bytes, _MAX_PUT_BYTES)
        # One goes on when the client that waits for it has left.
        self._completions: set[asyncio.Task[Upload]] = set()

    async def begin(self, asked: PresignedRequest, *, key_id: UUID | None) -> tuple[Unfinished, str]:
        """An upload of a key, and the URL to send it to.

        Raises:
            ProblemError: 409, there is no bucket; 413, the file is too large for one request.
            BlobStoreUnavailable: the blob store fails.
        """
        if not self._blobs.can_sign:
            raise ProblemError(
                409,
                "no-bucket",
                "No direct uploads here",
                "Files are kept on a disk here, not in a bucket; send them to /api/uploads, or in parts to "
                "/api/uploads/tus.",
            )
        if asked.size_bytes > self._max_bytes:
            raise too_large("file", self._max_bytes)
        upload = await self._unfinished.begin(
            Way.PRESIGNED,
            size_bytes=asked.size_bytes,
            keep_seconds=self._keep_seconds,
            filename=asked.filename,
            sha256=asked.sha256,
            key_id=key_id,
        )
        return upload, await self._blobs.signed_url("PUT", incoming_key(upload.id), seconds=self._seconds)

    async def complete(self, upload: Unfinished) -> Upload:
        """The upload, now that the client says that it is there. It is made once.

        Raises:
            ProblemError: 409, nothing is there; 422, it is not what was announced.
            BlobStoreUnavailable: the blob store fails.
        """
        completion = asyncio.create_task(self._complete(upload), name="completion")
        self._completions.add(completion)
        completion.add_done_callback(self._completions.discard)
        return await asyncio.shield(completion)

    async def _complete(self, upload: Unfinished) -> Upload:
        key = incoming_key(upload.id)
        known = await self._uploads.get(upload.id)
        if known is None or not await self._ingest.is_stored(known):
            known = await self._take_in(upload, key)
        await self._unfinished.complete(upload.id)
        await self._blobs.delete([key])
        return known

    async def _take_in(self, upload: Unfinished, key: str) -> Upload:
        try:
            found = await self._blobs.size(key)
            if found != upload.size_bytes:
                await self._blobs.delete([key])
                raise _wrong("size_bytes", f"{upload.size_bytes} bytes were announced, and {found} have come.")
            # From here on it is a copy that counts: the client may still write to its own.
            incoming = await self._ingest.receive(self._blobs.stream(key))
        except BlobMissing:
            raise ProblemError(
                409, "not-sent", "Not sent yet", "Nothing has come; send the file to the `url` by PUT, and complete it."
            ) from None
        try:
            if incoming.size_bytes != upload.size_bytes or upload.sha256 not in (None, incoming.sha256):
                await self._blobs.delete([key])
                raise _wrong("sha256", "The bytes that have come are not those that were announced; send them again.")
            return await self._ingest.accept(incoming, upload.filename, key_id=upload.key_id, upload_id=upload.id)
        finally:
            await self._ingest.discard(incoming)


def _wrong(field: str, detail: str) -> ProblemError:
    return invalid([FieldError.at("body", [field], detail)])

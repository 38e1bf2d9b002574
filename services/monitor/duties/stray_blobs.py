"""Files in the blob store that no record names: deleted.

They are left by attempts that did not win, and by processes that died: an API in the middle of an upload, a worker that
had stored a part of its results, a monitor between the rows and their files. Files of others are let be.
"""

import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.monitor.duties import Outcome
from shared.blobs import BlobMissing, Blobs, StoredBlob, input_key
from shared.store.retention import Position, Retention

_INPUT = re.compile(r"inputs/[0-9a-f]{2}/([0-9a-f]{64})")
_ARTIFACT = re.compile(r"artifacts/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/\d+(?:-[0-9a-f]{32})?/.+")


@dataclass(slots=True)
class Stock:
    """What there is under one prefix of the blob store."""

    files: int = 0
    size_bytes: int = 0


class StrayBlobs:
    """Compares the blob store with the records, a page at a time."""

    kind = "stray_blobs"

    def __init__(
        self, retention: Retention, blobs: Blobs, *, grace_seconds: float, every_seconds: float, batch: int
    ) -> None:
        """Nothing is compared yet.

        Args:
            retention: the records.
            blobs: the files.
            grace_seconds: how old a file must be that may belong to something that is underway.
            every_seconds: pause between the end of a comparison and the next.
            batch: how many files are looked at in a turn.
        """
        self._retention = retention
        self._blobs = blobs
        self._grace_seconds = grace_seconds
        self._every_seconds = every_seconds
        self._batch = batch
        self.stock: Mapping[str, Stock] = {}
        """What the last comparison saw, by prefix; nothing before the first has ended."""
        self._sweep: AsyncIterator[int] | None = None
        self._rest_until = float("-inf")

    async def perform(self) -> Outcome:
        """Begin a comparison if it is time, or go on with the one that has begun."""
        # Taken up again only if this turn ends well: one that failed begins anew.
        sweep, self._sweep = self._sweep, None
        if sweep is None:
            if time.monotonic() < self._rest_until:
                return Outcome(0)
            sweep = self._whole_sweep()
        deleted = await anext(sweep, None)
        if deleted is None:
            self._rest_until = time.monotonic() + self._every_seconds
            return Outcome(0)
        self._sweep = sweep
        return Outcome(deleted, more=True)

    async def _whole_sweep(self) -> AsyncIterator[int]:
        """Everything once; what was deleted, page by page."""
        stock = {prefix: Stock() for prefix in ("incoming", "inputs", "artifacts")}
        async for page in self._pages("incoming", stock):
            yield await self._delete([blob.key for blob in page if self._is_old(blob)])
        async for page in self._pages("inputs", stock):
            yield await self._sweep_inputs(page)
        async for page in self._pages("artifacts", stock):
            yield await self._sweep_artifacts(page)
        self.stock = stock
        yield await self._blobs.delete_unfinished(older_than=self._newest_old())
        after: Position | None = None
        while uploads := await self._retention.unused_uploads(
            older_than_seconds=self._grace_seconds, after=after, limit=self._batch
        ):
            for upload, after in uploads:  # noqa: B007 - where the next page begins
                if not await self._is_there(input_key(upload.sha256)):
                    # The bytes never came: the API died between the row and the file. The row goes as others do.
                    await self._retention.expire(upload.upload_id)
            yield 0

    async def _pages(self, prefix: str, stock: Mapping[str, Stock]) -> AsyncIterator[Sequence[StoredBlob]]:
        page: list[StoredBlob] = []
        async for blob in self._blobs.list(prefix):
            stock[prefix].files += 1
            stock[prefix].size_bytes += blob.size_bytes
            page.append(blob)
            if len(page) == self._batch:
                yield page
                page = []
        if page:
            yield page

    async def _sweep_inputs(self, page: Sequence[StoredBlob]) -> int:
        digests = [found[1] for blob in page if self._is_old(blob) and (found := _INPUT.fullmatch(blob.key))]
        deleted = 0
        for digest in set(digests) - await self._retention.named_inputs(digests):
            async with self._retention.holding_digest(digest) as is_named:
                if not is_named:
                    deleted += await self._delete([input_key(digest)])
        return deleted

    async def _sweep_artifacts(self, page: Sequence[StoredBlob]) -> int:
        blobs = {blob.key: blob for blob in page}
        job_of = {key: UUID(found[1]) for key in blobs if (found := _ARTIFACT.fullmatch(key))}
        # The files were seen before their jobs: an attempt that wins meanwhile has its names on record by now.
        unnamed = await self._retention.unnamed_artifacts(job_of)
        of_unknown_jobs = [key for key in unnamed.of_unknown_jobs if self._is_old(blobs[key])]
        return await self._delete([*unnamed.of_ended_jobs, *of_unknown_jobs])

    async def _delete(self, keys: Sequence[str]) -> int:
        await self._blobs.delete(keys)
        return len(keys)

    async def _is_there(self, key: str) -> bool:
        try:
            await self._blobs.size(key)
        except BlobMissing:
            return False
        return True

    def _newest_old(self) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=self._grace_seconds)

    def _is_old(self, blob: StoredBlob) -> bool:
        return blob.modified_at < self._newest_old()

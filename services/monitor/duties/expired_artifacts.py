"""Files of jobs that ended long ago, or whose clients wanted them for a time: taken from their jobs, then deleted."""

from services.monitor.duties import Outcome
from shared.blobs import Blobs
from shared.store.retention import Position, Retention


class ExpiredArtifacts:
    """Deletes artifacts that have been kept for long enough."""

    kind = "expired_artifacts"

    def __init__(self, retention: Retention, blobs: Blobs, *, keep_seconds: float, batch: int) -> None:
        self._retention = retention
        self._blobs = blobs
        self._keep_seconds = keep_seconds
        self._batch = batch
        # Jobs expire in the order of their ends: those before this one have been looked at.
        self._after: Position | None = None

    async def perform(self) -> Outcome:
        """Go through the next jobs. Files that could not be deleted are found by the sweep."""
        own_time = await self._retention.expire_own_time(self._batch)
        await self._blobs.delete(own_time.blob_keys)
        kept_long = await self._expire_the_old()
        return Outcome(len(own_time.blob_keys) + kept_long.done, own_time.jobs == self._batch or kept_long.more)

    async def _expire_the_old(self) -> Outcome:
        expired = await self._retention.expire_artifacts(
            keep_seconds=self._keep_seconds, after=self._after, limit=self._batch
        )
        if expired.end is None:
            return Outcome(0)
        self._after = expired.end
        await self._blobs.delete(expired.blob_keys)
        return Outcome(len(expired.blob_keys), more=True)

"""Jobs that ended very long ago: forgotten, with their attempts and their files."""

from services.monitor.duties import Outcome
from shared.blobs import Blobs
from shared.store.retention import Retention


class ForgottenJobs:
    """Removes jobs that have been kept for long enough."""

    kind = "forgotten_jobs"

    def __init__(self, retention: Retention, blobs: Blobs, *, keep_seconds: float, batch: int) -> None:
        self._retention = retention
        self._blobs = blobs
        self._keep_seconds = keep_seconds
        self._batch = batch

    async def perform(self) -> Outcome:
        """Forget those that ended the longest ago. Files that could not be deleted are found by the sweep."""
        forgotten = await self._retention.forget_jobs(keep_seconds=self._keep_seconds, limit=self._batch)
        await self._blobs.delete(forgotten.blob_keys)
        return Outcome(forgotten.jobs, more=forgotten.jobs == self._batch)

"""Inputs that no job needs any more: closed to new jobs, deleted later (shared/store/retention.py has the reasons)."""

import time

from services.monitor.duties import Outcome
from shared.blobs import Blobs, input_key
from shared.store.retention import Position, Retention

# Old inputs that are still needed are looked at again after this.
_REST_SECONDS = 60.0


class ExpiredInputs:
    """Removes inputs that have been kept for long enough."""

    kind = "expired_inputs"

    def __init__(self, retention: Retention, blobs: Blobs, *, keep_seconds: float, batch: int) -> None:
        self._retention = retention
        self._blobs = blobs
        self._keep_seconds = keep_seconds
        self._batch = batch
        self._after: Position | None = None
        self._rest_until = float("-inf")

    async def perform(self) -> Outcome:
        """Remove a batch of those that expired a while ago, and let the next ones expire."""
        removable = await self._retention.removable_uploads(self._batch)
        for upload in removable:
            async with self._retention.removing(upload, keep_seconds=self._keep_seconds) as has_bytes_of_its_own:
                if has_bytes_of_its_own:
                    await self._blobs.delete([input_key(upload.sha256)])
        has_more = await self._expire() if time.monotonic() >= self._rest_until else False
        return Outcome(len(removable), more=has_more or len(removable) == self._batch)

    async def _expire(self) -> bool:
        """Go on through the old uploads. True while there are more of them."""
        page = await self._retention.expire_uploads(
            keep_seconds=self._keep_seconds, after=self._after, limit=self._batch
        )
        self._after = page.end
        if page.end is None:
            self._rest_until = time.monotonic() + _REST_SECONDS
        return page.end is not None

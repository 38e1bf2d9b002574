"""Uploads of several requests that were not whole in time: forgotten, with what had come of them."""

from services.monitor.duties import Outcome
from shared.blobs import Blobs
from shared.store.unfinished import UnfinishedUploads


class ExpiredResumables:
    """Removes the rows of those that are whole, too: the uploads that they became have their own."""

    kind = "expired_resumables"

    def __init__(self, unfinished: UnfinishedUploads, blobs: Blobs, *, batch: int) -> None:
        self._unfinished = unfinished
        self._blobs = blobs
        self._batch = batch

    async def perform(self) -> Outcome:
        """Remove those that expired first. Files that are left by a monitor that dies here the sweep finds."""
        expired = await self._unfinished.expired(self._batch)
        if expired:
            await self._blobs.delete(await self._unfinished.remove(expired))
        return Outcome(len(expired), more=len(expired) == self._batch)

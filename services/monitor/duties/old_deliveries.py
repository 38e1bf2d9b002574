"""Messages to webhooks that ended long ago: forgotten."""

from services.monitor.duties import Outcome
from shared.store.deliveries import Deliveries


class OldDeliveries:
    """Removes what became of messages once nobody asks any more."""

    kind = "old_deliveries"

    def __init__(self, deliveries: Deliveries, *, keep_seconds: float, batch: int) -> None:
        self._deliveries = deliveries
        self._keep_seconds = keep_seconds
        self._batch = batch

    async def perform(self) -> Outcome:
        """Those that ended the longest ago."""
        gone = await self._deliveries.forget(keep_seconds=self._keep_seconds, limit=self._batch)
        return Outcome(gone, more=gone == self._batch)

"""Workers that have not been heard of for long: struck off, or the list would grow with every host that ever died."""

from services.monitor.duties import Outcome
from shared.store.workers import Workers

# Long enough for an alert and for somebody to look.
_SILENT_FOR_SECONDS = 3600.0


class SilentWorkers:
    """Strikes them off."""

    kind = "silent_workers"

    def __init__(self, workers: Workers, *, batch: int) -> None:
        self._workers = workers
        self._batch = batch

    async def perform(self) -> Outcome:
        """Strike off a batch."""
        struck = await self._workers.forget(silent_for_seconds=_SILENT_FOR_SECONDS, limit=self._batch)
        return Outcome(struck, more=struck == self._batch)

"""Jobs that have ended: added to the totals, so that the monitor need not count them each time."""

from services.monitor.duties import Outcome
from shared.store.finished import Finished

# Rows are only counted, and many at a time: each page costs one read of an index.
_PAGE = 20_000


class FinishedTotals:
    """Keeps the totals close to the present."""

    kind = "finished_totals"

    def __init__(self, finished: Finished) -> None:
        self._finished = finished

    async def perform(self) -> Outcome:
        """Add the next page."""
        added = await self._finished.fold(_PAGE)
        return Outcome(added, more=added >= _PAGE)

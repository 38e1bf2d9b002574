"""Jobs that wait because others of their key run: published when there is room."""

from services.monitor.duties import Outcome
from shared.broker import JobMessage, Publisher
from shared.store.records import QueuedJob
from shared.store.turns import Turns


class HeldJobs:
    """Lets the next jobs of each key go."""

    kind = "held_jobs"

    def __init__(self, turns: Turns, publisher: Publisher, *, batch: int) -> None:
        self._turns = turns
        self._publisher = publisher
        self._batch = batch

    async def perform(self) -> Outcome:
        """Publish those that there is room for. What Redis does not take will be found undispatched."""
        released: list[QueuedJob] = []
        for key_id in await self._turns.waiting_keys():
            released += await self._turns.release(key_id, limit=self._batch)
        if released:
            await self._publisher.offer([JobMessage(job.job_id, job.queue, job.traceparent) for job in released])
        return Outcome(len(released))

"""Running jobs whose worker fell silent: another attempt, or the end when the attempts are spent."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from services.monitor.duties import Outcome
from shared.broker import JobMessage, Publisher
from shared.events import EventPublisher
from shared.store.backlog import Backlog
from shared.store.jobs import Jobs
from shared.store.records import Requeue

log = structlog.get_logger()

# News can be missed; a Redis that does not answer must not hold up the duty for each of them.
_NEWS_SECONDS = 5.0


class ExpiredLeases:
    """Takes the jobs of silent workers from them."""

    kind = "expired_leases"

    def __init__(
        self, backlog: Backlog, jobs: Jobs, publisher: Publisher, events: EventPublisher, *, batch: int
    ) -> None:
        self._backlog = backlog
        self._jobs = jobs
        self._publisher = publisher
        self._events = events
        self._batch = batch

    async def perform(self) -> Outcome:
        """Give up the leases that have been out the longest."""
        leases = await self._backlog.expired_leases(self._batch)
        lost: list[Requeue] = []
        try:
            for lease in leases:
                # None: its worker has been heard of again, or has finished, since the lease was seen.
                requeue = await self._jobs.lose(lease, only_expired=True)
                if requeue is not None:
                    lost.append(requeue)
                    log.warning("lease run out", job_id=str(lease.job_id), status=requeue.event.status)
        finally:
            # Also of those that were lost before the database was: nobody else publishes them for a while.
            await self._publish(lost)
        return Outcome(len(lost), more=len(leases) == self._batch)

    async def _publish(self, lost: Sequence[Requeue]) -> None:
        queued = [
            JobMessage(requeue.event.job_id, requeue.queue, requeue.traceparent)
            for requeue in lost
            if requeue.is_queued
        ]
        if queued:
            await self._publisher.offer(queued)
        with suppress(TimeoutError):
            async with asyncio.timeout(_NEWS_SECONDS):
                for requeue in lost:
                    await self._events.publish(requeue.event)

"""Jobs that wait for a worker while no message says so: published again.

Their message was never published (Redis was away), or is gone with Redis's memory, or with a worker that died between
its delivery and the claim.
"""

import time
from dataclasses import dataclass
from uuid import UUID

import structlog

from services.monitor.duties import Outcome
from services.monitor.messages import CarriedJobs, Messages
from shared.broker import JobMessage, Publisher
from shared.store.backlog import Backlog, OverdueJob
from shared.store.jobs import Jobs

log = structlog.get_logger()

# Counts do not show a lost message while there is a needless one (of a canceled job, say) in its place.
_COMPARE_EVERY_SECONDS = 60.0
# With a long backlog a comparison takes seconds; it must not take a large part of the stores' time.
_REST = 10.0
_PAGES_AT_A_TIME = 20


@dataclass(slots=True)
class _Comparison:
    """The backlog, page by page, against the messages that there were when it began."""

    began: float
    carried: CarriedJobs
    after: OverdueJob | None = None
    published: int = 0


class UndispatchedJobs:
    """Compares the backlog with the messages.

    First by the counts, which cost little: fewer messages than jobs means that some job has none. When they say so,
    and once a minute in any case, job by job.
    """

    kind = "undispatched_jobs"

    def __init__(
        self,
        backlog: Backlog,
        jobs: Jobs,
        messages: Messages,
        publisher: Publisher,
        *,
        grace_seconds: float,
        batch: int,
    ) -> None:
        """Nothing is compared yet.

        Args:
            backlog: the jobs.
            jobs: the same, to change them.
            messages: what Redis holds.
            publisher: puts messages there.
            grace_seconds: how long after it was published a message may be underway; a job is published again
                at most once in this time.
            batch: how many jobs are read, and published again, at a time.
        """
        self._backlog = backlog
        self._jobs = jobs
        self._messages = messages
        self._publisher = publisher
        self._grace_seconds = grace_seconds
        self._batch = batch
        self._comparison: _Comparison | None = None
        self._compared_at = float("-inf")
        self._rest_until = float("-inf")

    async def perform(self) -> Outcome:
        """Begin a comparison if there is reason to, or go on with the one that has begun."""
        comparison = self._comparison
        # Taken up again only if this turn ends well: one that failed begins anew.
        self._comparison = None
        if comparison is None:
            if not await self._is_called_for():
                return Outcome(0)
            comparison = _Comparison(began=time.monotonic(), carried=await self._messages.carried())
        published, at_end = await self._go_on(comparison)
        if at_end:
            self._rest(comparison)
        else:
            self._comparison = comparison
        return Outcome(published, more=not at_end)

    async def _is_called_for(self) -> bool:
        queues = await self._backlog.queues(grace_seconds=self._grace_seconds)
        overdue = {queue: backlog.overdue for queue, backlog in queues.items() if backlog.overdue}
        now = time.monotonic()
        if not overdue or now < self._rest_until:
            return False
        if now - self._compared_at >= _COMPARE_EVERY_SECONDS:
            return True
        depths = await self._messages.depths()
        return any(jobs > depths.get(queue, 0) for queue, jobs in overdue.items())

    async def _go_on(self, comparison: _Comparison) -> tuple[int, bool]:
        """Some pages further, or one that had jobs to publish. Gives how many, and whether that was the last page."""
        for _ in range(_PAGES_AT_A_TIME):
            # A job that was published since the messages were read has a message that was not seen.
            grace = self._grace_seconds + time.monotonic() - comparison.began
            page = await self._backlog.overdue(grace_seconds=grace, after=comparison.after, limit=self._batch)
            at_end = len(page) < self._batch
            missing = [job.job_id for job in page if job.job_id not in comparison.carried]
            published = await self._publish(missing) if missing else 0
            comparison.published += published
            if page:
                comparison.after = page[-1]
            if at_end or published:
                return published, at_end
        return 0, False

    async def _publish(self, job_ids: list[UUID]) -> int:
        jobs = await self._jobs.redispatch(job_ids, grace_seconds=self._grace_seconds)
        messages = {job.job_id: JobMessage(job.job_id, job.queue, job.traceparent) for job in jobs}
        # In the order of the page: the first to come is served first.
        in_order = [messages[job_id] for job_id in job_ids if job_id in messages]
        if not in_order or not await self._publisher.offer(in_order):
            return 0
        return len(in_order)

    def _rest(self, comparison: _Comparison) -> None:
        self._compared_at = time.monotonic()
        took = self._compared_at - comparison.began
        self._rest_until = self._compared_at + min(_REST * took, _COMPARE_EVERY_SECONDS)
        if comparison.published:
            log.warning("jobs without a message published again", jobs=comparison.published)

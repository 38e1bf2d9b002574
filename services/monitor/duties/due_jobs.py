"""Jobs that wait for their time, that of the next attempt or the one that the client asked for: published when it has
come.
"""

from services.monitor.duties import Outcome
from shared.broker import JobMessage, Publisher
from shared.store.jobs import Jobs


class DueJobs:
    """Lets them begin."""

    kind = "due_jobs"

    def __init__(self, jobs: Jobs, publisher: Publisher, *, batch: int) -> None:
        self._jobs = jobs
        self._publisher = publisher
        self._batch = batch

    async def perform(self) -> Outcome:
        """Publish those that have been due the longest. What Redis does not take will be found undispatched."""
        due = await self._jobs.release_due(self._batch)
        if due:
            await self._publisher.offer([JobMessage(job.job_id, job.queue, job.traceparent) for job in due])
        return Outcome(len(due), more=len(due) == self._batch)

"""The arrows of a job whose inputs are fetched first: how a fetcher takes it, and how it comes to the others' queue.

While it is fetched a job has attempts, a lease and a heartbeat as when it runs, and fails, is retried, canceled,
handed back and lost by the same methods of shared/store/jobs.py: it then is `fetching` again instead of `queued`.
"""

from collections.abc import Mapping
from uuid import UUID, uuid4

from shared.schema.jobs import JobSpec
from shared.store.database import Database
from shared.store.job_inputs import JobInputs, set_fetched
from shared.store.job_statements import JobStatements
from shared.store.jobs import ending_of, event_of
from shared.store.records import FetchClaim, Lease, LeaseLost, Requeue, Usage


class Fetches:
    """The two arrows that fetching has for itself."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = JobStatements(database)
        self._inputs = JobInputs(database)

    async def claim(
        self, job_id: UUID, *, worker: str, lease_seconds: float, traceparent: str | None = None
    ) -> FetchClaim | None:
        """Take a job that is to be fetched, under a new lease and attempt; None when it is not there to be taken."""
        token = uuid4()
        given = {
            "given_job": job_id,
            "given_token": token,
            "given_worker": worker,
            "given_lease": lease_seconds,
            "given_traceparent": traceparent,
        }
        row = await self._statements.fetch_claim.apply(given)
        if row is None:
            return None
        return FetchClaim(
            lease=Lease(row.id, row.attempt, token),
            spec=JobSpec.model_validate(row.spec),
            queue=row.queue,
            traceparent=row.traceparent,
            wanted=await self._inputs.to_be_fetched(row.id),
            upload_id=row.upload_id,
            key_id=row.key_id,
            attempts_spent=row.attempts_spent,
            max_attempts=row.max_attempts,
            event=event_of(row),
        )

    async def finish(self, lease: Lease, *, upload_id: UUID, fetched: Mapping[str, UUID], queue: str) -> Requeue:
        """Fetching -> queued, or canceled as was asked for: every input is there.

        Args:
            lease: the fetcher's.
            upload_id: the job's own input.
            fetched: the uploads that were made, by the inputs' names.
            queue: where the job waits for its turn.

        Raises:
            LeaseLost: the lease is no longer held; nothing was written.
        """
        given = ending_of(lease, Usage()) | {"given_upload": upload_id, "given_queue": queue}
        async with self._database.write() as connection:
            row = await connection.run_sync(self._statements.fetched.within, given)
            if row is None:
                raise LeaseLost
            await set_fetched(connection, lease.job_id, fetched)
        return Requeue(event_of(row), row.queue, row.traceparent)

"""The life of a batch: made with all of its jobs or with none, canceled, ended."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schema.jobs import JobStatus
from shared.store.database import Database
from shared.store.errors import UploadMissing
from shared.store.job_statements import JobStatements
from shared.store.records import JobOrder, NewBatch, QueuedJob, WebhookOrder
from shared.store.tables import batches, job_inputs, jobs
from shared.store.webhooks import add_own

# Rows of one statement: the loop's other tasks have their turn between two of these.
_ROWS = 250


class Batches:
    """What changes batches, and their jobs together."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = JobStatements(database)

    async def create(
        self,
        orders: Sequence[JobOrder],
        *,
        name: str | None,
        max_attempts: int,
        traceparent: str | None = None,
        key_id: UUID | None = None,
        owner: UUID | None = None,
        webhook: WebhookOrder | None = None,
        commit_with: Callable[[AsyncConnection, NewBatch], Awaitable[None]] | None = None,
    ) -> NewBatch:
        """Make a batch with these jobs, in one transaction: all are durable when this returns, or there is none.

        Args:
            orders: its jobs, in their order.
            name: for people.
            max_attempts: how often each job is tried.
            traceparent: of the request that makes it.
            key_id: whose it will be, and its jobs; None: made without a key.
            owner: whose the uploads must be; None: anybody's.
            webhook: one of the batch's own, to be told of its end.
            commit_with: what is to be written in the same transaction; whatever it raises, there is no batch.

        Raises:
            UploadMissing: an upload is not there, or its bytes are no longer kept.
        """
        # In the order of the orders, which is the order that they are listed and done in.
        job_ids = sorted(uuid_utils.compat.uuid7() for _ in orders)
        batch: dict[str, Any] = {
            "id": uuid_utils.compat.uuid7(),
            "name": name,
            "jobs": len(orders),
            "cancel_requested": False,
            "created_at": self._database.now(),
            "traceparent": traceparent,
            "webhook_id": None,
            "key_id": key_id,
        }
        common = {
            "given_batch": batch["id"],
            "given_webhook": None,
            "given_traceparent": traceparent,
            "given_max_attempts": max_attempts,
            "given_key": key_id,
            "given_owner": owner,
        }
        try:
            async with self._database.write() as connection:
                if webhook is not None:
                    batch["webhook_id"] = await add_own(connection, self._database, webhook, key_id)
                made = await connection.execute(insert(batches).values(batch).returning(batches.c.created_at))
                created_at = made.scalar_one()
                messages = await self._add_jobs(connection, list(zip(job_ids, orders, strict=True)), common)
                new = NewBatch(batch["id"], batch["webhook_id"], created_at, messages)
                if commit_with is not None:
                    await commit_with(connection, new)
        except IntegrityError as error:
            raise UploadMissing(None) from error
        return new

    async def _add_jobs(
        self, connection: AsyncConnection, pairs: Sequence[tuple[UUID, JobOrder]], common: Mapping[str, Any]
    ) -> Sequence[QueuedJob]:
        # Jobs that are to do the same share what says so.
        specs: dict[int, Any] = {}
        for start in range(0, len(pairs), _ROWS):
            rows = [_given(job_id, order, common, specs) for job_id, order in pairs[start : start + _ROWS]]
            await connection.execute(self._statements.new_job, rows)
        inputs = [
            {"job_id": job_id, "name": source.name, "upload_id": source.upload_id, "url": source.url}
            for job_id, order in pairs
            for source in order.sources
        ]
        for start in range(0, len(inputs), _ROWS):
            await connection.execute(insert(job_inputs), inputs[start : start + _ROWS])
        # Those that are to begin later, or in their turn, are published then.
        published = select(jobs.c.id, jobs.c.queue).where(
            jobs.c.batch_id == common["given_batch"], jobs.c.not_before.is_(None), jobs.c.held.is_(False)
        )
        found = await connection.execute(published.order_by(jobs.c.id))
        return [QueuedJob(row.id, row.queue, common["given_traceparent"]) for row in found]

    async def cancel(self, batch_id: UUID) -> int:
        """Cancel each of its jobs that has not ended: those that wait at once, the others by their workers.

        Gives how many of them waited. Each page of jobs is a transaction of its own: a claim need not wait for all.
        """
        now = self._database.now()
        its_jobs = jobs.c.batch_id == batch_id
        # Nobody works on it, nor fetches what it is to work on.
        waits = jobs.c.status.in_([JobStatus.QUEUED, JobStatus.FETCHING]) & jobs.c.lease_token.is_(None)
        page = select(jobs.c.id).where(its_jobs, waits).limit(_ROWS).with_for_update().cte("page")
        waiting = (
            update(jobs)
            .where(jobs.c.id.in_(select(page.c.id)), waits)
            .values(
                status=JobStatus.CANCELED,
                cancel_requested=True,
                version=jobs.c.version + 1,
                finished_at=now,
                not_before=None,
            )
            .returning(jobs.c.id)
        )
        leased = jobs.c.status.in_([JobStatus.RUNNING, JobStatus.FETCHING]) & jobs.c.lease_token.is_not(None)
        marked = update(jobs).where(its_jobs, leased).values(cancel_requested=True)
        async with self._database.write() as connection:
            await connection.execute(update(batches).where(batches.c.id == batch_id).values(cancel_requested=True))
        canceled = 0
        while True:
            async with self._database.write() as connection:
                changed = len((await connection.execute(waiting)).all())
                if not changed:
                    # After the others: one that was claimed in between is among these.
                    await connection.execute(marked)
                    return canceled
            canceled += changed


def _given(job_id: UUID, order: JobOrder, common: Mapping[str, Any], specs: dict[int, Any]) -> dict[str, Any]:
    spec = specs.get(id(order.spec))
    if spec is None:
        spec = specs[id(order.spec)] = order.spec.model_dump(mode="json")
    return {
        **common,
        "given_id": job_id,
        "given_queue": order.queue,
        "given_priority": order.spec.priority,
        "given_spec": spec,
        "given_preset": order.options.preset,
        "given_metadata": order.options.metadata or None,
        "given_not_before": order.options.not_before,
        "given_keep": order.options.expires_in,
        "given_upload": order.upload_id,
        "given_status": JobStatus.FETCHING if order.is_to_be_fetched else JobStatus.QUEUED,
        "given_has_inputs": bool(order.sources),
    }

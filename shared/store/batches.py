"""The life of a batch: made with all of its jobs or with none, canceled, ended."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schema.jobs import JobStatus
from shared.store.database import Database
from shared.store.errors import UploadMissing
from shared.store.job_inputs import add_sources
from shared.store.job_statements import JobStatements
from shared.store.records import JobOrder, NewBatch, QueuedJob, WebhookOrder
from shared.store.tables import batches, jobs, webhooks
from shared.store.webhooks import row_of

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

        Raises:
            UploadMissing: an upload is not there, or its bytes are no longer kept.
        """
        # In the order of the orders, which is the order that they are listed and done in.
        job_ids = sorted(uuid_utils.compat.uuid7() for _ in orders)
        batch_id = uuid_utils.compat.uuid7()
        common = {
            "given_batch": batch_id,
            "given_webhook": None,
            "given_traceparent": traceparent,
            "given_max_attempts": max_attempts,
            "given_key": key_id,
            "given_owner": owner,
        }
        # Jobs that are to do the same share what says so.
        specs: dict[int, Any] = {}
        batch: dict[str, Any] = {
            "id": batch_id,
            "name": name,
            "jobs": len(orders),
            "cancel_requested": False,
            "created_at": self._database.now(),
            "traceparent": traceparent,
            "key_id": key_id,
        }
        own = None if webhook is None else row_of(self._database, webhook.target, webhook.secret, key_id)
        try:
            async with self._database.write() as connection:
                if own is not None:
                    await connection.execute(insert(webhooks).values(own))
                    batch["webhook_id"] = own["id"]
                made = await connection.execute(insert(batches).values(batch).returning(batches.c.created_at))
                created_at = made.scalar_one()
                for start in range(0, len(orders), _ROWS):
                    pairs = zip(job_ids[start : start + _ROWS], orders[start : start + _ROWS], strict=True)
                    made_now = list(pairs)
                    rows = [_given(job_id, order, common, specs) for job_id, order in made_now]
                    await connection.execute(self._statements.new_job, rows)
                    for job_id, order in made_now:
                        if order.sources:
                            await add_sources(connection, job_id, order.sources, owner)
                held = await _held(connection, batch_id, key_id)
        except IntegrityError as error:
            raise UploadMissing(None) from error
        queued = (
            QueuedJob(job_id, order.queue, traceparent)
            for job_id, order in zip(job_ids, orders, strict=True)
            # One that is to begin later is released when its time has come, and a held one when it is its turn.
            if order.options.not_before is None and job_id not in held
        )
        return NewBatch(batch_id, batch.get("webhook_id"), created_at, tuple(queued))

    async def cancel(self, batch_id: UUID) -> int:
        """Cancel each of its jobs that has not ended: those that wait at once, the others by their workers.

        Gives how many of them waited. Each page of jobs is a transaction of its own: a claim need not wait for all.
        """
        now = self._database.now()
        unended = jobs.c.batch_id == batch_id
        waits = jobs.c.status.in_([JobStatus.QUEUED, JobStatus.FETCHING])
        page = select(jobs.c.id).where(unended, waits).limit(_ROWS).with_for_update()
        waiting = (
            update(jobs)
            .where(jobs.c.id.in_(page.scalar_subquery()), waits)
            .values(
                status=JobStatus.CANCELED,
                cancel_requested=True,
                version=jobs.c.version + 1,
                finished_at=now,
                not_before=None,
            )
            .returning(jobs.c.id)
        )
        running = update(jobs).where(unended, jobs.c.status == JobStatus.RUNNING).values(cancel_requested=True)
        async with self._database.write() as connection:
            await connection.execute(update(batches).where(batches.c.id == batch_id).values(cancel_requested=True))
        canceled = 0
        while True:
            async with self._database.write() as connection:
                changed = len((await connection.execute(waiting)).all())
                if not changed:
                    # After the others: one that was claimed in between is among these.
                    await connection.execute(running)
                    return canceled
            canceled += changed


async def _held(connection: AsyncConnection, batch_id: UUID, key_id: UUID | None) -> Collection[UUID]:
    if key_id is None:
        return ()
    found = await connection.execute(select(jobs.c.id).where(jobs.c.batch_id == batch_id, jobs.c.held))
    return set(found.scalars())


def _given(job_id: UUID, order: JobOrder, common: Mapping[str, Any], specs: dict[int, Any]) -> dict[str, Any]:
    spec = specs.get(id(order.spec))
    if spec is None:
        spec = specs[id(order.spec)] = order.spec.model_dump(mode="json")
    return {
        **common,
        "given_id": job_id,
        "given_queue": order.queue,
        "given_status": JobStatus.FETCHING if order.is_to_be_fetched else JobStatus.QUEUED,
        "given_has_inputs": bool(order.sources),
        "given_priority": order.spec.priority,
        "given_spec": spec,
        "given_preset": order.options.preset,
        "given_metadata": order.options.metadata or None,
        "given_not_before": order.options.not_before,
        "given_keep": order.options.expires_in,
        "given_upload": order.upload_id,
    }

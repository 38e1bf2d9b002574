"""Batches as clients see them: read only."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, literal, select

from shared.schema.batches import BatchProgress, BatchSummary, BatchView
from shared.schema.jobs import JobStatus, JobSummary
from shared.store.database import Database
from shared.store.ownership import owns_batch
from shared.store.tables import Json, batches, jobs, uploads
from shared.store.webhooks import own_webhook

_SUMMARY = (batches.c.id, batches.c.name, batches.c.jobs, batches.c.cancel_requested, batches.c.created_at)


class BatchViews:
    """Queries for one batch, for lists of batches, and for the jobs of one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, batch_id: UUID, *, owner: UUID | None = None) -> BatchView | None:
        """The batch, or None when the owner has none of this id."""
        async with self._database.read() as connection:
            query = select(*_SUMMARY, batches.c.webhook_id).where(batches.c.id == batch_id, owns_batch(owner))
            row = (await connection.execute(query)).mappings().one_or_none()
            if row is None:
                return None
            webhook = None if row["webhook_id"] is None else await own_webhook(connection, row["webhook_id"])
        progress = (await self.progress([batch_id]))[batch_id]
        return BatchView(**{**row, **dict(progress)}, webhook=webhook)

    async def progress(self, batch_ids: Collection[UUID]) -> Mapping[UUID, BatchProgress]:
        """How far each of the batches is. Their jobs are counted from an index that has nothing else in it."""
        of_these = jobs.c.batch_id.in_(batch_ids)
        counted = (
            select(jobs.c.batch_id, jobs.c.status, func.count().label("jobs"))
            .where(of_these)
            .group_by(jobs.c.batch_id, jobs.c.status)
        )
        # Of those that run, which are few, the rows themselves are read.
        is_running = jobs.c.status == JobStatus.RUNNING
        running = (
            select(jobs.c.batch_id, func.sum(jobs.c.progress).label("progress"))
            .where(of_these, is_running)
            .group_by(jobs.c.batch_id)
        )
        counts: dict[UUID, dict[JobStatus, int]] = {batch_id: {} for batch_id in batch_ids}
        async with self._database.read() as connection:
            for row in await connection.execute(counted):
                counts[row.batch_id][JobStatus(row.status)] = row.jobs
            progress = {row.batch_id: row.progress for row in await connection.execute(running)}
        return {batch_id: BatchProgress.of(counts[batch_id], progress.get(batch_id, 0.0)) for batch_id in batch_ids}

    async def jobs(
        self, batch_id: UUID, *, status: JobStatus | None, after: UUID | None, limit: int
    ) -> Sequence[JobSummary]:
        """The jobs of a batch in the order in which they were given; `after` is the id of the last that was seen."""
        columns = (
            jobs.c.id,
            jobs.c.status,
            jobs.c.progress,
            jobs.c.error_code,
            jobs.c.error_message,
            uploads.c.filename,
            jobs.c.preset,
            func.coalesce(jobs.c.metadata, literal({}, Json)).label("metadata"),
            jobs.c.created_at,
            jobs.c.finished_at,
        )
        page = select(jobs.c.id).where(jobs.c.batch_id == batch_id).order_by(jobs.c.id).limit(limit)
        if status is not None:
            page = page.where(jobs.c.status == status)
        if after is not None:
            page = page.where(jobs.c.id > after)
        # The ids come from the batch's own index; what is shown is looked up for these alone.
        query = (
            select(*columns)
            .join(uploads, uploads.c.id == jobs.c.upload_id)
            .where(jobs.c.id.in_(page.scalar_subquery()))
            .order_by(jobs.c.id)
        )
        async with self._database.read() as connection:
            return [JobSummary.model_validate(row) for row in (await connection.execute(query)).mappings()]

    async def page(self, *, before: UUID | None, limit: int, owner: UUID | None = None) -> Sequence[BatchSummary]:
        """The owner's newest batches first; `before` is the id of the last one that was seen."""
        query = select(*_SUMMARY).where(owns_batch(owner)).order_by(batches.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(batches.c.id < before)
        async with self._database.read() as connection:
            return [BatchSummary.model_validate(row) for row in (await connection.execute(query)).mappings()]

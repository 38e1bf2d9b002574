"""How much of the system one key takes up now."""

from uuid import UUID

from sqlalchemy import func, select

from shared.schema.jobs import JobStatus
from shared.store.database import Database
from shared.store.tables import artifacts, jobs, unfinished_uploads, uploads


class KeyUsage:
    """The questions: answered from indexes over what keys have, at a cost that grows with what this one has."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def queued_jobs(self, key_id: UUID, *, at_most: int) -> int:
        """Its jobs that wait, or whose input is being fetched; counted up to so many."""
        waiting = (
            select(jobs.c.id)
            .where(jobs.c.key_id == key_id, jobs.c.finished_at.is_(None), jobs.c.status != JobStatus.RUNNING)
            .limit(at_most)
            .subquery()
        )
        async with self._database.read() as connection:
            return (await connection.execute(select(func.count()).select_from(waiting))).scalar_one()

    async def stored_bytes(self, key_id: UUID) -> int:
        """Bytes of its inputs and of its jobs' artifacts that are kept. Equal bytes that it sent twice count twice."""
        inputs = select(func.coalesce(func.sum(uploads.c.size_bytes), 0)).where(
            uploads.c.key_id == key_id, uploads.c.removed_at.is_(None)
        )
        results = (
            select(func.coalesce(func.sum(artifacts.c.size_bytes), 0))
            .join(jobs, jobs.c.id == artifacts.c.job_id)
            .where(jobs.c.key_id == key_id)
        )
        # Room is held for what is still coming.
        coming = select(func.coalesce(func.sum(unfinished_uploads.c.size_bytes), 0)).where(
            unfinished_uploads.c.key_id == key_id, unfinished_uploads.c.completed_at.is_(None)
        )
        query = select(inputs.scalar_subquery() + results.scalar_subquery() + coming.scalar_subquery())
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

"""What waits, what is late and what was lost: the questions of the monitor and of the reconciler."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import case, func, select, tuple_

from shared.schema.jobs import JobStatus
from shared.store.database import Database
from shared.store.records import Holder, JobCount, Lease
from shared.store.tables import is_delayed, is_held, is_leased, is_paused, is_poisoned, is_waiting, jobs, queue_pauses


@dataclass(frozen=True, slots=True)
class QueueBacklog:
    """The jobs of one queue that wait for a worker."""

    waiting: int
    overdue: int  # of these, the ones whose message was published more than a grace ago; none while it is paused
    oldest_seconds: float  # age of the one that was created first


@dataclass(frozen=True, slots=True)
class QueuedWork:
    """The jobs that are to be done, now or when their time has come."""

    jobs: int
    input_bytes: int


@dataclass(frozen=True, slots=True)
class OverdueJob:
    """A job that waits for a worker, and should have been heard of by now; its place in the order of such jobs."""

    queue: str
    created_at: datetime
    job_id: UUID


class Backlog:
    """Questions about jobs that have not ended; each is answered from an index over those alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def queues(self, *, grace_seconds: float) -> Mapping[str, QueueBacklog]:
        """The backlog of each queue that has one."""
        waiting = (
            select(
                jobs.c.queue,
                func.count().label("waiting"),
                func.count().filter(jobs.c.dispatched_at < self._database.now(-grace_seconds)).label("overdue"),
                func.min(jobs.c.created_at).label("oldest"),
            )
            .where(is_waiting)
            .group_by(jobs.c.queue)
            .subquery()
        )
        its_pause = select(queue_pauses.c.queue).where(queue_pauses.c.queue == waiting.c.queue).exists()
        query = select(
            waiting.c.queue,
            waiting.c.waiting,
            case((its_pause, 0), else_=waiting.c.overdue).label("overdue"),
            waiting.c.oldest,
            self._database.now().label("now"),
        )
        async with self._database.read() as connection:
            return {
                row.queue: QueueBacklog(row.waiting, row.overdue, max(0.0, (row.now - row.oldest).total_seconds()))
                for row in await connection.execute(query)
            }

    async def queued(self, *, at_most: int | None) -> QueuedWork:
        """The queued jobs of all queues; counted up to so many, beyond which nobody wants to know."""
        waiting, delayed, held = (
            select(jobs.c.input_bytes).where(condition) for condition in (is_waiting, is_delayed, is_held)
        )
        counted = waiting.union_all(delayed, held).limit(at_most).subquery()
        query = select(func.count(), func.coalesce(func.sum(counted.c.input_bytes), 0)).select_from(counted)
        async with self._database.read() as connection:
            count, input_bytes = (await connection.execute(query)).one()
        return QueuedWork(count, int(input_bytes))

    async def not_waiting(self) -> Sequence[JobCount]:
        """The jobs that have not ended and do not wait for a worker: delayed and held ones, and those that one has."""
        by_status = jobs.c.status, jobs.c.queue
        delayed, held, leased = (
            select(*by_status, func.count()).where(condition).group_by(*by_status)
            for condition in (is_delayed, is_held, is_leased)
        )
        async with self._database.read() as connection:
            found = await connection.execute(delayed.union_all(held, leased))
            return [JobCount(JobStatus(status), queue, count) for status, queue, count in found]

    async def overdue(self, *, grace_seconds: float, after: OverdueJob | None, limit: int) -> Sequence[OverdueJob]:
        """A page of the waiting jobs whose message was published more than a grace ago: by queue, the oldest first.

        Those of a paused queue are left out: a worker that gets such a message drops it.
        """
        # The order of the index: however long the backlog, a page is read from where the last one ended.
        place = jobs.c.queue, jobs.c.created_at, jobs.c.id
        query = (
            select(*place)
            .where(is_waiting, jobs.c.dispatched_at < self._database.now(-grace_seconds), ~is_paused)
            .order_by(*place)
            .limit(limit)
        )
        if after is not None:
            query = query.where(
                tuple_(*place)
                > tuple_(after.queue, after.created_at, after.job_id, types=[column.type for column in place])
            )
        async with self._database.read() as connection:
            return [OverdueJob(*row) for row in await connection.execute(query)]

    async def held_by(self, worker_prefix: str) -> Sequence[Holder]:
        """Who runs what, of the workers whose names begin so."""
        query = select(jobs.c.id, jobs.c.attempt, jobs.c.lease_token, jobs.c.worker).where(
            is_leased, jobs.c.worker.startswith(worker_prefix, autoescape=True)
        )
        async with self._database.read() as connection:
            return [
                Holder(Lease(row.id, row.attempt, row.lease_token), row.worker)
                for row in await connection.execute(query)
            ]

    async def expired_leases(self, limit: int) -> Sequence[Lease]:
        """Leases that ran out, the longest overdue first."""
        query = (
            select(jobs.c.id, jobs.c.attempt, jobs.c.lease_token)
            .where(is_leased, jobs.c.lease_expires_at < self._database.now())
            .order_by(jobs.c.lease_expires_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [Lease(row.id, row.attempt, row.lease_token) for row in await connection.execute(query)]

    async def poisoned(self) -> Mapping[str, int]:
        """How many jobs there are, by queue, that have failed since each worker on them died."""
        query = select(jobs.c.queue, func.count().label("jobs")).where(is_poisoned).group_by(jobs.c.queue)
        async with self._database.read() as connection:
            return {row.queue: row.jobs for row in await connection.execute(query)}

    async def expired_lease_count(self) -> int:
        """How many leases have run out and are not given up yet."""
        query = select(func.count()).where(is_leased, jobs.c.lease_expires_at < self._database.now())
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one()
